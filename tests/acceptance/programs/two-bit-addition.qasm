OPENQASM 2.0;
include "qelib1.inc";
// 3 + 2 with two Toffolis for the carries; the sum is 5.
gate carry c, a, b, d { ccx a, b, d; cx a, b; ccx c, b, d; }
gate sum c, a, b { cx a, b; cx c, b; }
qreg a[2];
qreg b[2];
qreg c[3];
creg total[3];
x a;
x b[1];
carry c[0], a[0], b[0], c[1];
carry c[1], a[1], b[1], c[2];
cx a[1], b[1];
sum c[1], a[1], b[1];
cx c[0], b[0];
measure b[0] -> total[0];
measure b[1] -> total[1];
measure c[2] -> total[2];
