OPENQASM 3.0;
include "stdgates.inc";
// The phase 2 pi 3/8 of an eigenstate, read with one qubit, least significant bit first.
const int bits = 3;
const float turn = 2 * pi * 3.0 / 8;
qubit probe;
qubit state;
bit[bits] c;
x state;
for int k in [0:bits - 1] {
  reset probe;
  h probe;
  ctrl @ p(turn * 2 ** (bits - 1 - k)) probe, state;
  for int j in [0:k - 1] {
    if (c[j]) { p(-pi / 2 ** (k - j)) probe; }
  }
  h probe;
  c[k] = measure probe;
}
