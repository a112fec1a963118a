"""Job files: what they say, and what is wrong with them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anyjob.errors import JobFileError
from anyjob.jobfile.reader import JobEntry, JobFile, load, parse
from anyjob.jobfile.spec_builder import make_spec
from anyjob.specs import Call, Command, File

WORK = '[command]\nargv = ["true"]\n'


def read(text: str) -> JobFile:
    return parse(text, "/dir/sweep.toml")


def refused(text: str) -> str:
    with pytest.raises(JobFileError) as caught:
        read(text)
    return str(caught.value)


def test_the_example_of_the_documentation_is_true() -> None:
    import anyjob.jobfile.reader

    text = (anyjob.jobfile.reader.__doc__ or "").partition("::\n")[2].partition("\n``{name}``")[0]
    file = read("\n".join(line.removeprefix("    ") for line in text.splitlines()))
    assert (file.path, file.name, file.backend, file.kind) == (
        "/dir/sweep.toml",
        "ar-order",
        "laptop",
        "command",
    )
    assert file.resources == {"cpus": 1, "walltime": "10m"}
    assert file.options == {"slurm": {"partition": "debug"}}
    assert len(file.jobs) == 3 * 10 - 1 + 1
    assert file.jobs[11] == JobEntry(
        {"order": 2, "seed": 1, "dir": "out", "out": "out/order-02.json"},
        {
            "argv": ["python3", "fit.py", "--order", "2", "--out", "out/order-02.json"],
            "env": {"SEED": "1"},
            "cwd": "/dir",
        },
    )
    orders = [(line.parameters["order"], line.parameters["seed"]) for line in file.jobs]
    assert orders[:3] == [(1, 0), (1, 1), (1, 2)]
    assert (3, 9) not in orders
    assert orders[-1] == (9, 1)
    assert file.directory == "/dir"


def test_one_job_without_a_matrix() -> None:
    file = read(WORK)
    assert file == JobFile("/dir/sweep.toml", "", None, "command", {}, {}, [JobEntry({}, {"argv": ["true"]})])


def test_what_is_read_makes_specs() -> None:
    file = read(
        '[command]\nargv = ["a", 3, true, 1.5, "{x}"]\nenv = {N = 4}\n[matrix]\nx = [2020-01-01, false]\n'
    )
    specs = [msgspec.convert(line.fields, Command) for line in file.jobs]
    assert specs[0].argv == ["a", "3", "true", "1.5", "2020-01-01"]
    assert specs[1].argv[-1] == "false"
    assert specs[0].env == {"N": "4"}


def test_a_call_keeps_types() -> None:
    file = read(
        '[python]\ncall = "fit:run"\nargs = ["{x}", "{x:.1f}", "{x}{x}"]\nkwargs = {deep = [{a = "{x}"}]}\n'
        "[matrix]\nx = [1, 2.5]\n"
    )
    assert file.kind == "python"
    assert [line.fields["args"] for line in file.jobs] == [[1, "1.0", "11"], [2.5, "2.5", "2.52.5"]]
    assert file.jobs[1].fields["kwargs"] == {"deep": [{"a": 2.5}]}
    assert msgspec.convert(file.jobs[0].fields, Call).fn == "fit:run"


def test_another_kind_of_work() -> None:
    file = read('[job]\ntype = "acme.notebook"\npath = "{p}"\nflag = true\n[matrix]\np = ["a", "b"]\n')
    assert file.kind == "acme.notebook"
    assert [line.fields for line in file.jobs] == [{"path": "a", "flag": True}, {"path": "b", "flag": True}]


def test_a_list_of_jobs_without_axes() -> None:
    rows = "[[matrix.include]]\na = 1\nb = 2\n[[matrix.include]]\nb = 3\na = 4\n"
    file = read('[command]\nargv = ["f", "{a}", "{b}"]\n' + rows)
    assert [line.fields["argv"] for line in file.jobs] == [["f", "1", "2"], ["f", "4", "3"]]


@pytest.mark.parametrize(
    ("axes", "rows", "made"),
    [
        ("x = [1, 2]", "{x = 2}, {x = 3}", [1, 2, 3]),
        ("x = {range = [0, 2]}", "{x = 1}, {x = 2}", [0, 1, 2]),
        ("x = {range = [0, 2]}", "{x = true}, {x = 1.0}", [0, 1, True, 1.0]),
        ("x = [1]", "{x = true}, {x = '1'}", [1, True, "1"]),
        ("x = [1, 2]\nexclude = [{x = 2}]", "{x = 2}", [1, 2]),
    ],
)
def test_what_the_axes_make_already_is_not_included_once_more(axes: str, rows: str, made: list[Any]) -> None:
    file = read(f"{WORK}[matrix]\n{axes}\ninclude = [{rows}]\n")
    assert repr([line.parameters["x"] for line in file.jobs]) == repr(made)


def test_an_axis_given_beside_the_file_may_make_what_that_includes() -> None:
    text = f"{WORK}[matrix]\nx = [1]\ninclude = [{{x = 2}}]\n"
    assert [line.parameters["x"] for line in parse(text, "/dir/sweep.toml", {"x": [1, 2]}).jobs] == [1, 2]


@pytest.mark.parametrize(
    ("bounds", "values"), [("[0, 3]", [0, 1, 2]), ("[3, 0, -1]", [3, 2, 1]), ("[0, 10, 4]", [0, 4, 8])]
)
def test_ranges_are_those_of_python(bounds: str, values: list[int]) -> None:
    file = read(f"{WORK}[matrix]\nx = {{ range = {bounds} }}\n")
    assert [line.parameters["x"] for line in file.jobs] == values


def test_braces_are_doubled() -> None:
    file = read("""[command]\nargv = ['{{"a": {x}}}', '{{x}}', '}}{{']\n[matrix]\nx = [1]\n""")
    assert file.jobs[0].fields["argv"] == ['{"a": 1}', "{x}", "}{"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.integers())
@example("{", 1)
@example("{x}{{", 1)
def test_any_text_survives_with_its_braces_doubled(text: str, x: int) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    arguments = f"{_string(escaped)}, {_string(escaped + '{x}!')}"
    file = f"[python]\ncall = 'm:f'\nargs = [{arguments}]\n[matrix]\nx = [{x}]\n"
    assert read(file).jobs[0].fields["args"] == [text, f"{text}{x}!"]


def _string(text: str) -> str:
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"'


@given(st.text('[]{}=",.:#x1 \n', max_size=40).map(lambda text: WORK + text) | st.text(max_size=40))
def test_any_file_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(JobFileError):
        assert read(text).jobs


@given(st.text("{}x:d.1!", max_size=12))
def test_any_placeholder_is_filled_or_refused(text: str) -> None:
    with contextlib.suppress(JobFileError):
        file = read(f"[command]\nargv = ['{text}']\n[matrix]\nx = [1]\n")
        assert isinstance(file.jobs[0].fields["argv"][0], str)


def test_parameters_are_made_of_others_in_any_order() -> None:
    file = read(
        WORK + '[parameters]\na = "{b}/{x}"\nb = "{c}!"\nc = "{x:03d}"\nd = ["{x}"]\n[matrix]\nx = [7]\n'
    )
    assert file.jobs[0].parameters == {"x": 7, "c": "007", "d": [7], "b": "007!", "a": "007!/7"}


def test_paths_are_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(
        '[command]\nargv = ["f", "x"]\ncwd = "runs/{n}"\nstdin = "../in"\nfiles = {a = "/abs", b = "rel"}\n'
        "[matrix]\nn = [1]\n"
    )
    file = load(path)
    assert make_spec(Command, file.jobs[0].fields, file.path, file.directory) == Command(
        ["f", "x"],
        cwd=str(tmp_path / "runs" / "1"),
        stdin=File(str(tmp_path.parent / "in")),
        files={"a": File("/abs"), "b": File(str(tmp_path / "rel"))},
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[command\n",
         ":1:9: not valid TOML (line 1, column 9): Expected ']' at the end of a table declaration"),
        ("", ": there is no work in it: add [command] with argv, [python] with call, or [job] with type"),
        (WORK + "[python]\ncall = 'a:b'\n",
         ":3: python: a job file has one kind of work, and there is [command] too: drop one"),
        (WORK + "[matrx]\nx = [1]\n", ":3: matrx: unknown key; did you mean 'matrix'?"),
        ("[circuit.large]\nx = 1\n" + WORK,
         ':1: circuit: unknown key; another kind of work is written as [job] with type = "…"'),
        (WORK + "arg = 3\n", ":3: command.arg: unknown key; did you mean 'argv'?"),
        ("[command]\ncwd = '.'\n",
         ':1: command.argv: expected a list of a program and its arguments: ["python3", "fit.py"]'),
        ("[command]\nargv = []\n",
         ':2: command.argv: expected a list of a program and its arguments: ["python3", "fit.py"]'),
        ("[command]\nargv = 'ls -l'\n",
         ':2: command.argv: expected a list of a program and its arguments: ["python3", "fit.py"]'),
        ("[command]\nargv = ['f', ['x']]\n", ":2: command.argv[1]: is array, which does not go into text"),
        ("[python]\ncall = 'fit'\n", ':2: python.call: expected "module:function"'),
        ("[python]\nfn = 'a:b'\n", ":2: python.fn: unknown key; there are: args, call, kwargs"),
        ("[job]\npath = 'x'\n",
         ":1: job.type: expected the name of a kind of work (`anyjob plugins list` shows which there are)"),
        ("command = 3\n", ":1: command: expected a table, got integer"),
        ("name = 3\n" + WORK, ":1: name: expected text, got integer"),
        ("backend = ''\n" + WORK, ":1: backend: expected text, got none"),
        (WORK + "[matrix]\n", ":3: matrix: is empty: give it an axis, such as order = [1, 2, 3], or drop it"),
        (WORK + "[matrix]\nx = []\n",
         ":4: matrix.x: the axis is empty, and so would be the matrix: give it a value, or drop it"),
        (WORK + "[matrix]\nx = {range = [3, 3]}\n",
         ":4: matrix.x: the axis is empty, and so would be the matrix: give it a value, or drop it"),
        (WORK + "[matrix]\nx = [0, 1, 0]\n",
         ":4: matrix.x: the value 0 is there twice: the same job would run twice"),
        (WORK + "[matrix]\nx = [['a'], ['a']]\n",
         ':4: matrix.x: the value ["a"] is there twice: the same job would run twice'),
        (WORK + "[matrix]\nx = [1]\ny = [1]\ninclude = [{x = 1, y = 2}, {y = 2, x = 1}]\n",
         ':6: matrix.include: the entry {"x": 1, "y": 2} is there twice: the same job would run twice'),
        (WORK + "[matrix]\nx = 3\n",
         ":4: matrix.x: expected a list of values, or { range = [start, stop] }, got integer"),
        (WORK + "[matrix]\nx = {range = [0, 5, 0]}\n",
         ":4: matrix.x: range: expected [start, stop] or [start, stop, step], of whole numbers"),
        (WORK + "[matrix]\nx = {range = [true, 5]}\n",
         ":4: matrix.x: range: expected [start, stop] or [start, stop, step], of whole numbers"),
        (WORK + "[matrix]\nx = {range = [0, 1001]}\ny = {range = [0, 1000]}\n",
         ":3: matrix: makes 1,001,000 jobs; a file may make 1,000,000 at most: split it"),
        (WORK + "[matrix]\nx = {range = [0, 100000000000000000000000]}\n",
         ":4: matrix.x: a file may make 1,000,000 jobs at most: split it"),
        (WORK + "[matrix]\nx = [1]\nexclude = [{x = 1}]\n",
         ":5: matrix.exclude: leaves nothing of the matrix"),
        (WORK + "[matrix]\nx = [1]\nexclude = [{y = 1}]\n",
         ":5: matrix.exclude.y: unknown key; there are: x"),
        (WORK + "[matrix]\nx = [1]\ny = [1]\ninclude = [{x = 1}]\n",
         ":6: matrix.include: every entry gives every parameter; one lacks 'y'"),
        (WORK + "[matrix]\ninclude = 3\n",
         ":4: matrix.include: expected a list of tables, each with a parameter or more: [{ order = 3 }]"),
        (WORK + "[matrix]\nx-y = [1]\n",
         ":4: matrix.x-y: the name of a parameter is made of letters, digits and _, with no digit first"),
        (WORK + "[matrix]\nx = [1]\n[parameters]\nx = 2\n",
         ":6: parameters.x: 'x' is an axis of the matrix too: rename one"),
        (WORK + "[parameters]\na = '{b}'\nb = 'x{c}'\nc = ['{a}']\n",
         ":4: parameters.a: made of itself: a -> b -> c -> a"),
        (WORK + "[parameters]\na = '{a}'\n", ":4: parameters.a: made of itself: a -> a"),
        ("[command]\nargv = ['{odrer}']\n[matrix]\norder = [1]\n",
         ":2: command.argv[0]: unknown parameter 'odrer'; did you mean 'order'?"),
        ("[command]\nargv = ['{order}']\n", ":2: command.argv[0]: unknown parameter 'order'; there are none"),
        ("[python]\ncall = '{x}:y'\n", ":2: python.call: unknown parameter 'x'; there are none"),
        ("[command]\nargv = ['{x.y}']\n[matrix]\nx = [1]\n",
         ":2: command.argv[0]: there is a lone '{' in '{x.y}': a parameter is {name} or {name:format}, "
         "and a brace is written '{{'"),
        ("[command]\nargv = ['{x:02d}']\n[matrix]\nx = ['a']\n",
         ":2: command.argv[0]: {x:02d} does not fit string 'a': "
         "Unknown format code 'd' for object of type 'str'"),
        ("[command]\nargv = ['{x:>9999999999}']\n[matrix]\nx = [1]\n",
         ":2: command.argv[0]: {x:>9999999999} does not fit integer 1: "
         "nothing may be wider than 10,000 characters"),
        ("[command]\nargv = ['a{x}']\n[matrix]\nx = [[1]]\n",
         ":2: command.argv[0]: {x} is array, which does not go into text"),
        (WORK + "[resources]\ncpu = 1\n", ":4: resources.cpu: unknown key; did you mean 'cpus'?"),
        (WORK + "[resources]\nmemory = '4000'\n",
         ":3: resources: memory: '4000' has no unit: write 4000MB, 4000GB or 4000B"),
        (WORK + "[resources]\nname = 'x'\n",
         ":4: resources.name: the name of the jobs stands at the head of the file: name = …"),
        (WORK + "[resources]\noptions = {}\n",
         ":4: resources.options: options have tables of their own: [options.slurm]"),
        (WORK + "[options]\nslurm = 3\n",
         ":4: options.slurm: expected a table by the type of a backend, got integer"),
        ("name = 'n-{x}'\n" + WORK + "[matrix]\nx = [1]\n",
         ":1: name: is common to all jobs, so that {x} is not filled in here"),
        (WORK + "[matrix]\nx = [1]\n[resources.tags]\nt = '{x:d}'\n",
         ":6: resources.tags.t: is common to all jobs, so that {x} is not filled in here"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text: str, why: str) -> None:
    assert refused(text) == "/dir/sweep.toml" + why


def test_axes_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(WORK + "[matrix]\nx = []\nz = [1]\nexclude = [{ x = 3 }]\n")
    jobs = load(path, {"x": (2, 3, 4)}).jobs
    assert [line.parameters for line in jobs] == [{"x": 2, "z": 1}, {"x": 4, "z": 1}]
    for axis in ("xx", "exclude"):
        with pytest.raises(JobFileError, match=rf"jobs\.toml: there is no axis '{axis}' in its matrix"):
            load(path, {axis: [1]})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobFileError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(JobFileError, match="cannot be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "a.toml").write_bytes(b"\n\xff")
    with pytest.raises(JobFileError, match=r"a\.toml:2: not UTF-8 text"):
        load(tmp_path / "a.toml")
