"""What is said to sbatch: options, command line, script, variables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from anyjob_slurm import dialect
from anyjob_slurm.backend import SlurmBackend
from anyjob_slurm.dialect import Slurm
from anyjob_slurm.options import SlurmOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from anyjob import ConfigError, SpecError
from anyjob.batch.programs import Programs
from anyjob.batch.script import job_environment, job_name, script
from anyjob.resources import make_resources
from anyjob.sdk import Submission, validate_options

SLURM = Slurm()
ID = "0123456789abcdef0123"


def arguments(options: dict[str, Any], tasks: int | None = None, **resources: Any) -> list[str]:
    made, asked = validate_options(SlurmOptions, options), make_resources(resources)
    program, *said = SLURM.submit(Submission("n", tasks, asked, made, directory=Path("/s")))
    assert program == "sbatch"
    return said


def test_resources_are_slurms_own() -> None:
    asked = arguments(
        {}, cpus=4, memory="1.5GiB", gpus=2, nodes=3, walltime="90s", tags={"study": "a"}, restartable=True
    )
    assert set(asked) >= {
        "--parsable",
        "--cpus-per-task=4",
        "--mem=1536M",
        "--gpus=2",
        "--nodes=3",
        "--time=0-00:02:00",
        "--comment=study=a",
        "--requeue",
    }


def test_nothing_is_asked_for_that_nobody_asked_for() -> None:
    assert arguments({}) == [
        "--parsable",
        "--job-name=n",
        "--output=/s/log-0",
        "--open-mode=append",
        "--no-requeue",
    ]


def test_an_array_is_told_how_many_of_its_tasks_run_at_a_time() -> None:
    assert "--array=0-6%2" in arguments({"throttle": 2}, 7)
    assert "--array=0-6" in arguments({}, 7)


def test_components_stand_behind_colons_with_what_holds_for_all() -> None:
    components = [{"partition": "gpu", "gpus": 2, "memory": "1GiB", "extra": ["--hint=x"]}, {"tasks": 4}]
    options = {"account": "me", "partition": "debug", "extra": ["--hold"], "components": components}
    asked = arguments(options, cpus=2, walltime="1m", restartable=True)
    first, colon, second = asked.index("--hold"), asked.index(":"), asked.index(":", asked.index(":") + 1)
    assert {"--partition=debug", "--cpus-per-task=2", "--account=me"} <= set(asked[: first + 1])
    assert colon == first + 1
    shared = ["--requeue", "--account=me", "--time=0-00:01:00"]
    gpu = ["--partition=gpu", "--gpus=2", "--mem=1024M", "--hint=x"]
    assert sorted(asked[colon + 1 : second]) == sorted([*shared, *gpu])
    assert sorted(asked[second + 1 :]) == sorted([*shared, "--ntasks=4"])


@pytest.mark.parametrize(
    ("component", "why"),
    [
        ({"memory": "much"}, "much"),
        ({"cpu": 1}, r"components\[0\].cpu: unknown option; did you mean 'cpus'"),
        ({"extra": ["--array=0-3"]}, "--array is anyjob's to set"),
        ({"extra": [":"]}, "is no directive"),
        ({"partition": "a\n#SBATCH -x"}, "directives go into"),
    ],
)
def test_a_component_that_makes_no_sense_is_refused(component: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        validate_options(SlurmOptions, {"components": [component]})


def test_options_are_directives() -> None:
    options = {
        "partition": "debug",
        "account": "me",
        "qos": "low",
        "constraint": "a&b|c",
        "reservation": "r",
        "gres": "gpu:a100:2",
        "nodes": 2,
        "exclusive": True,
        "mail_type": ["END", "FAIL"],
        "mail_user": "me@example.org",
        "extra": ["--switches=1", "--hold"],
    }
    given = arguments(options, tasks=500)
    assert given[-2:] == ["--switches=1", "--hold"]
    assert set(given) >= {
        "--array=0-499",
        "--partition=debug",
        "--account=me",
        "--qos=low",
        "--constraint=a&b|c",
        "--reservation=r",
        "--gres=gpu:a100:2",
        "--nodes=2",
        "--exclusive",
        "--mail-type=END,FAIL",
        "--mail-user=me@example.org",
    }


@pytest.mark.parametrize(
    ("seconds", "limit"),
    [(0.1, "0-00:01:00"), (60, "0-00:01:00"), (61, "0-00:02:00"), (90061, "1-01:02:00")],
)
def test_time_limits_are_whole_minutes(seconds: float, limit: str) -> None:
    assert dialect.time_limit(seconds) == limit


@given(st.text(max_size=300))
def test_a_name_is_one_word_that_ends_with_our_id(called: str) -> None:
    name = job_name(called, ID)
    assert name.endswith(f"anyjob-{ID}")
    assert name.isascii()
    assert name.isprintable()
    assert " " not in name
    assert len(name) < 200


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20)))
def test_tags_are_one_printable_line(tags: dict[str, str]) -> None:
    text = dialect.comment(tags)
    assert text.isprintable()
    text.encode()


def test_a_directory_is_no_pattern() -> None:
    assert dialect.escaped_directory(Path("/a%j/b")) == "/a%%j/b"
    with pytest.raises(ValueError, match="backslash: set the option `spool`"):
        dialect.escaped_directory(Path("/a\\b"))


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option", ["partition", "account", "qos", "constraint", "reservation", "gres", "python"]
)
@pytest.mark.parametrize("text", ["a\n#SBATCH --uid=0", "a\rb", "a\0b", "#SBATCH -p b"])
def test_what_could_smuggle_in_a_directive_is_refused(option: str, text: str) -> None:
    with pytest.raises(ConfigError, match=option):
        arguments({option: text})


@pytest.mark.parametrize("option", ["extra", "setup", "mail_type", "export"])
def test_nor_is_it_taken_in_a_list(option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option}.*line break"):
        arguments({option: ["--hold\n#SBATCH -p x"]})
    with pytest.raises(ConfigError, match="#SBATCH"):
        arguments({option: ["#SBATCH --hold"]})


@pytest.mark.parametrize(
    ("directive", "way_out"),
    [
        ("--array=1-5", "anyjob's to set"),
        ("--arr=1-5", "anyjob's to set"),
        ("--OUTPUT=x", "anyjob's to set"),
        ("--wrap=x", "anyjob's to set"),
        ("--export=NONE", "anyjob's to set"),
        ("--partition=x", "`partition`"),
        ("--ntasks=2", "`tasks`"),
        ("--cpus-per-task=2", "`cpus`"),
        ("--time=5", "`walltime`"),
        ("-p x", "--name=value"),
        ("--", "--name=value"),
        ("x.sh", "--name=value"),
    ],
)
def test_directives_that_anyjob_manages_are_refused(directive: str, way_out: str) -> None:
    with pytest.raises(ConfigError, match=way_out):
        arguments({"extra": [directive]})


@pytest.mark.parametrize("option", ["spool", "programs", "conf"])
def test_paths_that_mean_something_else_elsewhere_are_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option}.*begins with / or ~"):
        arguments({option: "scratch/anyjob"})
    arguments({option: "~/scratch"})


def test_options_of_one_job_go_before_those_of_the_backend() -> None:
    backend = SlurmBackend.from_options("hpc", {"partition": "debug", "qos": "low"})
    backend.type_name = "slurm"

    def told(**options: Any) -> Any:
        return backend.job_options(make_resources({"options": {"slurm": options}}))

    assert (told(partition="gpu").partition, told(partition="gpu").qos) == ("gpu", "low")
    assert told().partition == "debug"
    with pytest.raises(SpecError, match="partitoin"):
        told(partitoin="gpu")
    with pytest.raises(SpecError, match="spool"):
        told(spool="/elsewhere")
    backend.close()


# --- variables ------------------------------------------------------------------------------------


def test_an_enclosing_job_does_not_leak_in() -> None:
    """snakemake-executor-plugin-slurm#22, #113: inherited SLURM_* broke nested submission."""
    outer = {
        "SLURM_JOB_ID": "1",
        "SLURM_CPUS_PER_TASK": "64",
        "SBATCH_PARTITION": "x",
        "SQUEUE_FORMAT": "%i",
        "SLURM_CONF": "/c",
        "PATH": "/bin",
        "SEED": "1",
    }
    as_bytes = {name.encode(): value.encode() for name, value in outer.items()}
    assert job_environment(SLURM, as_bytes, None) == b"SLURM_CONF=/c\0PATH=/bin\0SEED=1\0"
    asking = Programs(SLURM, SlurmOptions())
    assert asking.submitting_environment(outer) == {"PATH": "/bin", "SLURM_CONF": "/c"}
    programs = asking.environment(outer)
    assert programs["SEED"] == "1"
    assert not {"SLURM_JOB_ID", "SBATCH_PARTITION", "SQUEUE_FORMAT"} & set(programs)
    assert Programs(SLURM, SlurmOptions(conf=Path("/d"))).environment(outer)["SLURM_CONF"] == "/d"


def test_export_selects() -> None:
    variables = {b"OMP_NUM_THREADS": b"4", b"TOKEN": b"secret", b"HOME": b"/h"}
    assert job_environment(SLURM, variables, ("OMP_*",)) == b"OMP_NUM_THREADS=4\0HOME=/h\0"
    assert job_environment(SLURM, variables, ()) == b"HOME=/h\0"


def run_script(
    directory: Path, environment: bytes, setup: tuple[str, ...] = (), **outer: str
) -> dict[bytes, bytes]:
    """Run the script as Slurm would, with a launcher that writes its variables."""
    directory.mkdir(exist_ok=True)
    (directory / "environment").write_bytes(environment)
    launcher = directory / "launcher.py"
    launcher.write_text("import sys; sys.stdout.buffer.write(open('/proc/self/environ', 'rb').read())")
    variables = {
        "PATH": os.environ["PATH"],
        "SLURM_JOB_ID": "7",
        **outer,
    }
    text = script(SLURM, os.fsencode(directory), os.fsencode(launcher), sys.executable, "-S -E", setup)
    (directory / "script").write_text(text)
    done = subprocess.run(["bash", directory / "script"], env=variables, capture_output=True, check=True)
    assert done.stderr == b""
    said = (directory / "log-0").read_bytes()
    pairs = [entry.partition(b"=") for entry in said.split(b"\0") if entry]
    return {name: value for name, _, value in pairs}


VALUES = st.binary(max_size=40).map(lambda value: value.replace(b"\0", b""))


@settings(max_examples=40)
@given(st.dictionaries(st.from_regex(rb"\A[A-Z][A-Z0-9_]{0,9}X\Z"), VALUES, max_size=4))
def test_variables_reach_the_node_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, variables: dict[bytes, bytes]
) -> None:
    """psij-python#423: values with blanks or `$(…)` were mangled or executed."""
    variables = {**variables, b"HOSTILE": b"$(touch /tmp/pwned) `x` \"'\n\\ \xff"}
    found = run_script(tmp_path_factory.mktemp("s"), job_environment(SLURM, variables, None))
    assert {name: found.get(name) for name in variables} == variables


def test_what_slurm_or_the_site_has_set_stays(tmp_path: Path) -> None:
    found = run_script(tmp_path, b"CUDA_VISIBLE_DEVICES=0,1,2\0A=1\0", CUDA_VISIBLE_DEVICES="2")
    assert (found[b"CUDA_VISIBLE_DEVICES"], found[b"A"]) == (b"2", b"1")


def test_setup_lines_come_after_the_callers_variables(tmp_path: Path) -> None:
    found = run_script(
        tmp_path,
        b"LOADED=base\0BASH_FUNC_module%%=() {  LOADED=$LOADED:$2\n}\0",
        ("module load gcc", "export B=2"),
    )
    assert (found[b"LOADED"], found[b"B"]) == (b"base:gcc", b"2")


def test_the_script_is_the_same_for_every_job() -> None:
    text = script(SLURM, b"/s", b"/l", "python", "", ("module load gcc",))
    assert text.splitlines()[-2] == "module load gcc"
    assert not [line for line in text.splitlines() if line.startswith("#SBATCH")]
