OPENQASM 3.0;
include "stdgates.inc";
// A qubit is set from a parity of measured bits that is worked out while the program runs.
qubit[3] q;
let pair = q[0:1];
bit[2] seen;
bit parity = 0;
bit answer;
h pair;
seen = measure pair;
parity = seen[0] ^ seen[1];
switch (parity) {
  case 1 { x q[2]; }
  default { }
}
answer = measure q[2];
