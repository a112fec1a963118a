"""Circuits that were written as QPY by Qiskit of another age."""

from __future__ import annotations

import base64
import io
import math
import sys
import zlib
from typing import Any

import pytest
from anyjob_qiskit import Circuit
from anyjob_qiskit.circuits import formats
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import Parameter, ParameterVector
from qiskit.exceptions import QiskitError
from qiskit.qpy import common

from anyjob import File, Session, SpecError

WRITTEN = {
    8: (
        "c-jl}4EFX6;b4$pVt@d~LI#dZ1`Z$#B*F|8<wat%Wv3RDDCFm*Lir5UO2s9mDV0iAN{LFfg^XaWj6icx0b?>qh7l"
        "-}2op+%sZD~ZfznKHU2ITMMh5I4D8fClBo%BI%so|ThA23uq-X?J<|gImXsDN{Yw9S#IAzfWvFe(dWn~CQ!t@G;a"
        "<;nhdpzD+zh(6n0paa11!V;V2*oq|=CF5OcI0l=zfk|cDE?~+VdqA|oXZHaR2gCEOUs&`Dt;g3or`3}E}!s`huKr"
        "cz>efTY-anWCKi_#LBb&!ECP!`untDJCb(wLG}oNsRR4lRuw%e_U@^9Wfg6$n7}25xo<@>0i;_z-OLPqlP2q_E9`"
        "g)^|DgaSo>5{R4p`CMg$5AO3k3g>0CG$-kQ_dYr04*L4igsp0eOONwE"
    ),
    9: (
        "c-jl}4EFX6;bf3xfC9!s298Vy4j_vOh?$|Hyhv=e?9_r1h5Wo!n3ig#;*!#oN+m0$M5Wq7MzB^!pgE|3F&QMo2$V"
        "^L2_?hSCc)G|X(qTXHmE2g19lJ;;htEM3bqU8o+>m$6dY4hG=eL0lk#&k)JxPgbrfKnvS@=?bxqB(GK3>xdKY`I+"
        "S4TC9n+}hw>+yPQ3|G@te^m)IDxV1;Hk^*2bWH@<hW!hqE|xLxsfpEGQuoX#%ZZE%$_m^b|m*<Gut;cvADDd5)R2"
        "=5m*d@buhv;!8LoPx#kq7`WGaE9Rt<_i?J09+>jK&h!!PG@TklzN-oVT(KR$OgeL-c%rg}JhXRy%Mu~YiU`2Nq8b"
        "CxZ5d231$T7`8a`-Tkq5~W{Ojzs(0HD8avH"
    ),
    10: (
        "c-jl}4EFX6;bLTDVt@d~)ItW1GzJbJ6C}h873M`^vt_3ilqlrqr9$}()k?)Br74w4R!WIVwS|met&EI?45)xH86?"
        "99lu3jMCBxJv!PG!$Cb%v(s3;=?b`TWdo>-C!whQK-lW2zIGlJX?BpL)Dq7BGa8NieQz1P5tEK|aQrqqxXri2A5Q"
        "Wk9x%Z9G1tPJ62m{Yck++%S1>9l>XRO;IEPFj;;3d#x!5Q?v#Nu93A;gZyI`_|^|KFtaxgnb_g^F1TXQe~W$PJ!7"
        "|#=wr`K5S<DrY07b7D0kF87u-z5MUjQa7}Q{o@uT*#i{-UiD1Wo^}rIq8U}7if?`CAVR)KL&MZnU%`DM1G&6*!DR"
        "@F+DEtovD9HvTA;AGFy1UQ-BDDa)e<T1?Pz6^?Y8Ww+q5~X4OgP*C06%kX&j"
    ),
    11: (
        "c-jl}4EFX6;bvrHVt@d~)ItW1GzJbJ6C}h873M`^vt_3ilqlrqr9$}()k?)Br74w4R!WIVwS|met&EI?45)xH86?"
        "99lu3jMCBxJv!PG!$Cb%v(s3;=?b`TWdo>-C!whQK-lW2zIGlJX?BpL)Dq7BGa8NieQz1P5tEK|aQrqqxXri2A5Q"
        "Wk9x%Z9G1tPJ62m{Y?19(w(M=oG!9WK!)K%?0c*1!V;V2*pKj)ZSe`=y9q46VHzN4_4_Vgnb_g^F1TXQe~W$a=`2"
        "<V_-*eA2zdnQxl6ziy*<83>JYU2(S)DxF)z}&otMZ;#B{FM6hGPdSD4)4FfkMK{2AmFg(pAXBH)wW|rt0ni<2>6g"
        "(j@6#j<-lw^aFkl=t7-Cbw^ky?P@KN5f`sDdjcHH;WZ(E$!2CLC@60Lz4N82"
    ),
    12: (
        "c-jl}4EFX6;bCNCVt@d~)ItW1GzJbJ6C}h873M`^vw?{0)PfR){Jd1C7(=yEaY<=PrIM9WqEc-kBUn2lV<7`7U`z"
        "(dFal)~VM56;wMj5FP?`y@iw!Eu$bcOLMYt!Hq=M~&x#uLBA^D6TKLCja0f=Y=vQ-8!Wk4@B@FL5Uu%Ib5WQ8eVf"
        "r^wx8^p4qt12r)_!;JuE-TlG*@ix{8>W5_&poGI1yfK~P=HX(`o!Rh*KarOi7OcjZ``=zQ9{`Fkucvg!YozBX=yd"
        "go-zh@B==!6+c!0_xU>iotjS;zSfT*yV1#ReYxYcY%_&axFGvJC2CN5`05&jiLlPAuS`0HG8<Lz^lw6uwqHAbo3Q"
        "t$?#Kche9|};C4oYHz16Fjmp#emS0fPTX0Hy#QJ0yn_BPlw-p~Qs44FDu9ZNC"
    ),
}
"""What Qiskit 0.24, 0.25 and 1.1 wrote of the circuit below, in versions of QPY that none writes today."""
WITH_SYMENGINE = range(10, 13)
"""The versions in which angles are written by symengine, by default, and so take it to be read."""


def circuit() -> QuantumCircuit:
    """Registers, branches, a vector and an expression of parameters, and metadata."""
    angles, more = ParameterVector("v", 2), Parameter("t")
    found = QuantumCircuit(
        QuantumRegister(2, "q"),
        ClassicalRegister(1, "a"),
        ClassicalRegister(2, "b"),
        name="kept one",
        metadata={"study": "a"},
    )
    found.rx(angles[0] + more, 0)
    found.ry(angles[1], 1)
    found.measure(0, 0)
    with found.if_test((found.cregs[0], 1)):
        found.x(1)
    found.measure([0, 1], [1, 2])
    return found


def written(version: int) -> bytes:
    if version in WRITTEN:
        return zlib.decompress(base64.b85decode(WRITTEN[version]))
    stream = io.BytesIO()
    qpy.dump(circuit(), stream, version=version)
    return stream.getvalue()


VERSIONS = sorted({*WRITTEN, *range(common.QPY_COMPATIBILITY_VERSION, common.QPY_VERSION + 1)})


@pytest.mark.parametrize("backend", ["aer", "threads", "sampler"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_of_qpy_runs(version: int, backend: str, labs: Session) -> None:
    if version in WITH_SYMENGINE:
        pytest.importorskip("symengine")
    content = written(version)
    assert content[6] == version
    parameters: dict[str, Any] = {"v": [math.pi, 0.0], "t": 0.0}
    job = labs.get_backend(backend).run(Circuit(File("c.qpy", content), shots=300, parameters=parameters))
    found = job.result(120)[0]
    assert found.name == "kept one"
    assert found.registers == [("a", 1), ("b", 2)]
    least = 200 if backend == "sampler" else 300  # its gates are noisy
    assert found.counts["11 1"] >= least


@pytest.mark.parametrize("version", WITH_SYMENGINE)
def test_what_it_takes_to_read_angles_of_qiskit_1_is_told(
    version: int, labs: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "symengine", None)
    file = File("older.qpy", written(version) + b" ")  # read anew
    with pytest.raises(SpecError, match=r"older.qpy: .*symengine.*pip install 'anyjob-qiskit\[qpy\]'"):
        labs.get_backend("aer").run(Circuit(file, parameters={"v": [0.0, 0.0], "t": 0.0}))


def test_a_version_that_is_newer_than_qiskit_is_told(labs: Session) -> None:
    content = bytearray(written(common.QPY_VERSION))
    content[6] = newer = common.QPY_VERSION + 1
    told = rf"new.qpy: this is QPY {newer}, and Qiskit .* reads up to {newer - 1}: write it by qpy.dump\("
    with pytest.raises(SpecError, match=told):
        labs.get_backend("aer").run(Circuit(File("new.qpy", bytes(content)), parameters={"t": 0}))


class PanicException(BaseException):
    """As pyo3 calls it: a panic in Rust is no Exception in Python."""


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (PanicException("index out of range"), "cannot read it: index out of range"),
        (
            QiskitError("no such gate\n\nStack backtrace:\n   0: qpy::load"),
            "QiskitError: no such gate",
        ),
    ],
)
def test_what_the_part_in_rust_makes_of_a_broken_file_is_told_in_words(
    raised: BaseException, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(stream: io.BytesIO) -> Any:
        raise raised

    monkeypatch.setattr(qpy, "load", load)
    with pytest.raises(SpecError) as caught:
        formats.read(File("odd.qpy", b"QISKIT\x0a" + str(said).encode()))
    assert str(caught.value).startswith("odd.qpy: ")
    assert said in str(caught.value)
    assert "backtrace" not in str(caught.value)


def test_who_interrupts_the_reading_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(stream: io.BytesIO) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(qpy, "load", load)
    with pytest.raises(KeyboardInterrupt):
        formats.read(File("odd.qpy", b"QISKIT\x0ainterrupted"))
