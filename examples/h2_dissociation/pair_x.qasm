// A pair of electrons in two orbitals of the hydrogen molecule: bonding (q[0]) and antibonding (q[1]).
// cos(theta/2) |bonding> + sin(theta/2) |antibonding>; how the two interfere is measured.
OPENQASM 3.0;
include "stdgates.inc";
input float[64] theta;
qubit[2] q;
bit[2] c;
x q[0];
ry(theta) q[1];
cx q[1], q[0];
h q[0];
h q[1];
c = measure q;
