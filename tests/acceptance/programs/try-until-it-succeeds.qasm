OPENQASM 3.0;
include "stdgates.inc";
// Both qubits are tossed until they show heads at once; what is measured afterwards is sure.
def toss(qubit[2] coins) -> bit[2] {
  reset coins;
  h coins;
  return measure coins;
}
qubit[2] coins;
bit[2] shown;
bit[2] after;
while (shown != 3) {
  shown = toss(coins);
}
after = measure coins;
