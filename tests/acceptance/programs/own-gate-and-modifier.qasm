OPENQASM 3.0;
include "stdgates.inc";
gate flip a, b { x a; cx a, b; }
qubit[3] q;
bit[3] c;
flip q[0], q[1];
ctrl @ x q[1], q[2];
c = measure q;
