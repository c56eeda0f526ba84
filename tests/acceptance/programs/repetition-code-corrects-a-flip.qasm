OPENQASM 3.0;
include "stdgates.inc";
// One qubit in three. A flip is injected, found by two parities, and undone.

def parities(qubit[3] code, qubit[2] helper) -> bit[2] {
  bit[2] found;
  reset helper;
  for int i in [0:1] {
    cx code[i], helper[i];
    cx code[i + 1], helper[i];
  }
  found = measure helper;
  return found;
}

qubit[3] code;
qubit[2] helper;
bit[2] syndrome;
bit[3] data;
x code[0];
cx code[0], code[1];
cx code[0], code[2];
x code[2];
syndrome = parities(code, helper);
if (syndrome == 1) { x code[0]; }
if (syndrome == 3) { x code[1]; }
if (syndrome == 2) { x code[2]; }
data = measure code;
