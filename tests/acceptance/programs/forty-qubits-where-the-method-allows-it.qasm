OPENQASM 3.0;
include "stdgates.inc";
qubit[40] q;
bit[40] c;
h q[0];
for int i in [0:38] { cx q[i], q[i + 1]; }
c = measure q;
