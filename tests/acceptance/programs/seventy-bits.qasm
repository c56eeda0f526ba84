OPENQASM 3.0;
include "stdgates.inc";
qubit[1] q;
bit[70] c;
x q[0];
c[0] = measure q[0];
c[69] = measure q[0];
