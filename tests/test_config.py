"""Configuration: layers, origins, and what is wrong with them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyjob.config.directories import platform_directory
from anyjob.config.layers.origins import Origin
from anyjob.config.secrets import Secret
from anyjob.config.settings import Config
from anyjob.errors import ConfigError
from anyjob.text.toml import key_lines

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load from ``system/``, ``user/`` and ``project/sub/`` under tmp_path, with nothing of the machine's."""
    (tmp_path / "project" / "sub").mkdir(parents=True)
    for name in ("system", "user"):
        (tmp_path / name).mkdir()

    def load(environ: Mapping[str, str] | None = None) -> Config:
        where = [tmp_path / "user", tmp_path / "system"]
        return Config.load(tmp_path / "project" / "sub", environ or {}, *where)

    return load


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


HPC = '[backends.hpc]\ntype = "slurm"\n'


def test_nothing_configured(load: Load) -> None:
    config = load()
    assert config.default_backend is None
    assert dict(config.backends) == dict(config.providers) == {}
    assert config.problems() == []
    assert config.to_dict() == {"default_backend": "local"}
    assert config.origin("default_backend") == Origin("built-in")


def test_later_layers_win_key_by_key(load: Load, tmp_path: Path) -> None:
    system = write(
        tmp_path / "system" / "config.toml",
        'default_backend = "a"\n'
        + HPC
        + 'partition = "system"\naccount = "system"\nslots = 1\nqos = "system"\n',
    )
    user = write(
        tmp_path / "user" / "config.toml", '[backends.hpc]\npartition = "user"\naccount = "user"\nslots = 2\n'
    )
    project = write(
        tmp_path / "project" / "anyjob.toml", '# mine\n[backends.hpc]\naccount = "project"\nslots = 3\n'
    )
    config = load({"ANYJOB_BACKENDS__HPC__SLOTS": "4", "ANYJOB_BACKEND": "hpc"})
    config = config.with_overrides({"default_backend": "inline"}, "--backend")
    assert config.default_backend == "inline"
    entry = config.backends["hpc"]
    assert (entry.name, entry.type) == ("hpc", "slurm")
    assert entry.options == {"partition": "user", "account": "project", "slots": "4", "qos": "system"}
    assert {key: str(origin) for key, origin in entry.origins.items()} == {
        "": f"{system}:3",
        "type": f"{system}:3",
        "qos": f"{system}:7",
        "partition": f"{user}:2",
        "account": f"{project}:3",
        "slots": "environment variable ANYJOB_BACKENDS__HPC__SLOTS",
    }
    assert config.origin("backends.hpc.partition") == Origin("user", user, 2)
    assert config.origin(("backends", "hpc", "slots")) == entry.origins["slots"]
    assert config.origin("default_backend") == Origin("arguments", label="--backend")
    assert config.origin("backends.hpc.nothing") is None
    assert entry.options.textual == {"slots"}


def test_the_layers_are_listed_found_or_not(load: Load, tmp_path: Path) -> None:
    write(tmp_path / "project" / "anyjob.toml", "")
    listed = [(layer.name, layer.file, layer.found) for layer in load().layers()]
    assert listed == [
        ("built-in", None, True),
        ("system", str(tmp_path / "system" / "config.toml"), False),
        ("user", str(tmp_path / "user" / "config.toml"), False),
        ("project", str(tmp_path / "project" / "anyjob.toml"), True),
        ("environment", None, False),
    ]


def test_another_type_begins_the_table_anew(load: Load, tmp_path: Path) -> None:
    write(tmp_path / "user" / "config.toml", HPC + 'partition = "debug"\n')
    write(tmp_path / "project" / "anyjob.toml", '[backends.hpc]\ntype = "local"\nslots = 1\n')
    config = load()
    assert config.backends["hpc"].type == "local"
    assert config.backends["hpc"].options == {"slots": 1}
    assert config.origin("backends.hpc.partition") is None


def test_the_same_type_again_does_not(load: Load, tmp_path: Path) -> None:
    write(tmp_path / "user" / "config.toml", HPC + 'partition = "debug"\n')
    write(tmp_path / "project" / "anyjob.toml", HPC)
    assert load().backends["hpc"].options == {"partition": "debug"}


def test_a_place_of_a_secret_replaces_another_as_a_whole(load: Load, tmp_path: Path) -> None:
    write(tmp_path / "user" / "config.toml", HPC + 'token = { file = "/a" }\ndeep = { a = 1 }\n')
    write(tmp_path / "project" / "anyjob.toml", '[backends.hpc]\ntoken = { env = "A" }\ndeep = { b = 2 }\n')
    options = load().backends["hpc"].options
    assert options == {"token": {"env": "A"}, "deep": {"a": 1, "b": 2}}
    assert load().origin("backends.hpc.token.file") is None


class TestProject:
    def test_the_nearest_counts(self, load: Load, tmp_path: Path) -> None:
        write(tmp_path / "project" / "anyjob.toml", 'default_backend = "far"')
        write(tmp_path / "project" / "sub" / "anyjob.toml", 'default_backend = "near"')
        assert load().default_backend == "near"

    def test_in_pyproject(self, load: Load, tmp_path: Path) -> None:
        path = write(
            tmp_path / "project" / "pyproject.toml",
            '[project]\nname = "x"\n[tool.anyjob]\ndefault_backend = "a"\n'
            '[tool.anyjob.backends.a]\ntype = "t"\n',
        )
        config = load()
        assert config.origin("default_backend") == Origin("project", path, 4)
        assert config.origin("backends.a.type") == Origin("project", path, 6)

    def test_a_pyproject_without_us_is_passed_by(self, load: Load, tmp_path: Path) -> None:
        write(tmp_path / "project" / "anyjob.toml", 'default_backend = "far"')
        write(tmp_path / "project" / "sub" / "pyproject.toml", '[project]\ndependencies = ["anyjob"]\n')
        assert load().default_backend == "far"

    def test_a_broken_pyproject_without_us_is_passed_by(self, load: Load, tmp_path: Path) -> None:
        write(tmp_path / "project" / "pyproject.toml", "[project")
        assert load().problems() == []

    def test_anyjob_toml_stands_before_pyproject(self, load: Load, tmp_path: Path) -> None:
        write(tmp_path / "project" / "pyproject.toml", '[tool.anyjob]\ndefault_backend = "shared"\n')
        write(tmp_path / "project" / "anyjob.toml", 'default_backend = "own"')
        assert load().default_backend == "own"

    @pytest.mark.parametrize("name", ["anyjob.toml", "pyproject.toml"])
    @pytest.mark.parametrize("link", [False, True])
    def test_of_another_user_is_ignored(
        self, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, link: bool
    ) -> None:
        path = tmp_path / "project" / name
        text = 'default_backend = "evil"\n'
        write(path, text if name == "anyjob.toml" else "[tool.anyjob]\n" + text)
        # Only root can give files away: become somebody else instead.
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        looked_at = os.lstat if link else os.stat

        def owned_by_another(of: Any, **arguments: Any) -> os.stat_result:
            info = list(looked_at(of, **arguments))
            info[4] = 54321 if os.fspath(of) == str(path) else 12345
            return os.stat_result(info)

        monkeypatch.setattr(os, looked_at.__name__, owned_by_another)
        with pytest.warns(
            UserWarning, match=rf"{name} is ignored: another user owns it.*ANYJOB_CONFIG={path}"
        ):
            config = load()
        assert config.default_backend is None
        assert [layer.note for layer in config.layers() if layer.name == "project"] == [
            "ignored: another user owns it"
        ]

    @pytest.mark.parametrize("which", ["project", "project/anyjob.toml"])
    def test_that_everybody_may_write_is_ignored(self, load: Load, tmp_path: Path, which: str) -> None:
        write(tmp_path / "project" / "anyjob.toml", 'default_backend = "evil"')
        (tmp_path / which).chmod(0o777)
        with pytest.warns(UserWarning, match="is ignored: everybody may write to it"):
            assert load().default_backend is None

    def test_the_warning_is_about_the_callers_line(self, tmp_path: Path) -> None:
        (tmp_path / "anyjob.toml").touch(0o666)
        (tmp_path / "anyjob.toml").chmod(0o666)
        with pytest.warns(UserWarning, match="is ignored") as caught:
            Config.load(tmp_path, {}, tmp_path, tmp_path)
        assert [warning.filename for warning in caught] == [__file__]

    def test_a_pyproject_that_cannot_be_read_is_passed_by(self, load: Load, tmp_path: Path) -> None:
        write(tmp_path / "project" / "anyjob.toml", 'default_backend = "far"')
        path = tmp_path / "project" / "sub" / "pyproject.toml"
        path.mkdir()
        assert load().default_backend == "far"
        with pytest.raises(ConfigError, match=f"^{path}: cannot be read: Is a directory"):
            load({"ANYJOB_CONFIG": str(path)})

    def test_named_by_the_user_it_counts_all_the_same(self, load: Load, tmp_path: Path) -> None:
        path = write(tmp_path / "project" / "anyjob.toml", 'default_backend = "mine"')
        (tmp_path / "project" / "anyjob.toml").chmod(0o666)
        assert load({"ANYJOB_CONFIG": path}).default_backend == "mine"

    def test_named_by_the_user_it_may_be_a_pyproject(self, load: Load, tmp_path: Path) -> None:
        path = write(tmp_path / "pyproject.toml", "[project]\n[tool.anyjob]\ndefault_backend = 'mine'")
        assert load({"ANYJOB_CONFIG": path}).default_backend == "mine"
        write(tmp_path / "pyproject.toml", "[project]\n")
        with pytest.raises(ConfigError, match=r"has no table \[tool.anyjob\]"):
            load({"ANYJOB_CONFIG": path})

    def test_no_table(self, load: Load, tmp_path: Path) -> None:
        write(tmp_path / "project" / "pyproject.toml", "[tool]\nanyjob = 3\n")
        with pytest.raises(ConfigError, match=r"pyproject.toml: tool.anyjob: expected a table, got integer"):
            load()

    def test_a_directory_that_is_gone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        config = Config.load(environ={}, user_dir=tmp_path, system_dir=tmp_path)
        assert [layer.note for layer in config.layers() if layer.name == "project"] == [
            "the working directory is gone"
        ]
        monkeypatch.chdir(tmp_path)


class TestEnvironment:
    def test_anyjob_config_stands_in_for_the_users_file(self, load: Load, tmp_path: Path) -> None:
        write(tmp_path / "user" / "config.toml", 'default_backend = "user"')
        path = write(tmp_path / "other.toml", "# nothing")
        config = load({"ANYJOB_CONFIG": path})
        assert config.default_backend is None
        assert [(layer.file, layer.note) for layer in config.layers() if layer.name == "user"] == [
            (path, "named by ANYJOB_CONFIG")
        ]

    def test_anyjob_config_must_exist(self, load: Load, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
            load({"ANYJOB_CONFIG": str(tmp_path / "none.toml")})

    def test_names_are_taken_for_those_in_the_files(self, load: Load, tmp_path: Path) -> None:
        write(tmp_path / "user" / "config.toml", '[backends.My-HPC]\ntype = "slurm"\nMaxJobs = 1\n')
        config = load({"ANYJOB_BACKENDS__MY_HPC__MAXJOBS": "2", "ANYJOB_BACKENDS__NEW__TYPE": "local"})
        assert config.backends["My-HPC"].options == {"MaxJobs": "2"}
        assert config.backends["new"].type == "local"

    def test_names_that_could_be_several_are_refused(self, load: Load, tmp_path: Path) -> None:
        write(tmp_path / "user" / "config.toml", '[backends.a-b]\ntype = "t"\n[backends."a.b"]\ntype = "t"\n')
        with pytest.raises(ConfigError, match=r"ANYJOB_BACKENDS__A_B__X: A_B could be any of 'a-b', 'a\.b'"):
            load({"ANYJOB_BACKENDS__A_B__X": "1"})

    def test_tables(self, load: Load) -> None:
        config = load(
            {"ANYJOB_PROVIDERS__IBM__TYPE": "qiskit", "ANYJOB_PROVIDERS__IBM__TOKEN__ENV": "IBM_TOKEN"}
        )
        assert config.providers["ibm"].options == {"token": {"env": "IBM_TOKEN"}}

    def test_others_are_left_alone(self, load: Load) -> None:
        config = load(
            {"ANYJOB_STATE": "/x", "ANYJOB_DISABLE_PLUGINS": "a", "ANYJOB_ONLY_PLUGINS": "a",
             "ANYJOB_SPOOL": "a",
             "ANYJOB_STRICT_PLUGINS": "1", "ANYJOB_BACKENDS": "x", "ANYJOB_BACKEND": "", "ANYJOB_CONFIG": ""}
        )  # fmt: skip
        assert config.to_dict() == {"default_backend": "local"}
        assert config.problems() == []

    @pytest.mark.parametrize(
        ("environ", "why"),
        [
            ({"ANYJOB_BACKENDS__A__": "1"}, "two underscores stand between"),
            ({"ANYJOB_BACKENDS____B": "1"}, "two underscores stand between"),
            ({"ANYJOB_BACKENDS" + "__A" * 51: "1"}, "50 at most"),
            (
                {"ANYJOB_BACKENDS__A__B": "1", "ANYJOB_BACKENDS__A__B__C": "2"},
                "A__B and .*A__B__C contradict",
            ),
            ({"ANYJOB_BACKENDS__A__B": "1", "ANYJOB_BACKENDS__a__B": "2"}, "A__B and .*a__B contradict"),
        ],
    )
    def test_nonsense_names_the_variable(self, load: Load, environ: dict[str, str], why: str) -> None:
        with pytest.raises(ConfigError, match=f"environment variables? ANYJOB_BACKENDS.*{why}"):
            load(environ)

    @given(
        st.dictionaries(st.text("AB_-.x", max_size=8).map("ANYJOB_BACKENDS__{}".format), st.text(max_size=3))
    )
    def test_any_is_read_or_refused(self, environ: dict[str, str]) -> None:
        try:
            config = Config.load("/", environ, "/nonexistent", "/nonexistent")
        except ConfigError:
            return
        assert all(str(problem).startswith("environment variable ANYJOB_") for problem in config.problems())


class TestBadInput:
    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b'a = "b"\nbackends = [1,,2]\n', r":2:15: not valid TOML \(line 2, column 15\): Invalid value"),
            (b'x = 1\ny = "abc', r":2:9: not valid TOML \(line 2, column 9\): Unterminated string"),
            (b"x = 1\nx = 2\n", r":2:6: not valid TOML .*Cannot overwrite a value"),
            (b"x = 1\ny = '\xff'\n", ":2: not UTF-8 text"),
            (b"x = " + b"9" * 5000, ": not valid TOML: Exceeds the limit"),
            (b"x = " + b"[" * 100000, ": tables or arrays are nested too deeply"),
            (b"a." * 10000 + b"a = 1", ": tables or arrays are nested too deeply"),
        ],
        ids=["value", "string", "duplicate", "utf-8", "digits", "depth", "dots"],
    )
    def test_a_malformed_file_names_file_line_and_column(
        self, load: Load, tmp_path: Path, content: bytes, why: str
    ) -> None:
        path = tmp_path / "project" / "anyjob.toml"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=f"^{path}{why}"):
            load()

    def test_a_byte_order_mark_is_no_matter(self, load: Load, tmp_path: Path) -> None:
        (tmp_path / "user" / "config.toml").write_bytes(b'\xef\xbb\xbfdefault_backend = "a"')
        assert load().default_backend == "a"

    def test_a_file_that_leads_nowhere_is_not_taken_for_a_missing_one(
        self, load: Load, tmp_path: Path
    ) -> None:
        path = tmp_path / "user" / "config.toml"
        path.symlink_to(path)
        with pytest.raises(ConfigError, match=f"^{path}: cannot be read: Too many levels"):
            load()

    def test_a_pipe_in_place_of_a_file_is_not_waited_for(self, load: Load, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "anyjob.toml")
        with pytest.raises(ConfigError, match=r"anyjob\.toml: is a pipe, not a file$"):
            load()

    @pytest.mark.parametrize("layer", ["system", "user"])
    def test_an_unreadable_file_is_named(self, load: Load, tmp_path: Path, layer: str) -> None:
        path = tmp_path / layer / "config.toml"
        path.mkdir()  # root may read any file, but no directory as one
        with pytest.raises(ConfigError, match=f"^{path}: cannot be read: Is a directory"):
            load()

    def test_the_shape_is_checked(self, load: Load, tmp_path: Path) -> None:
        in_name = "a name is text without '/', which stands between a provider and its backend"
        no_type = 'has no type; add type = "…" (`anyjob plugins list` shows which there are)'
        path = write(
            tmp_path / "user" / "config.toml",
            'default_backnd = "a"\ndefault_backend = 3\nproviders = "x"\n'
            '[backends]\nplain = "slurm"\n"a/b" = { type = "t" }\n"" = { type = "t" }\n'
            "number = { type = 3 }\n"
            '[backends.hpc]\nslots = 1\n[backends.good]\ntype = "local"\n',
        )
        config = load()
        assert [str(problem) for problem in config.problems()] == [
            f"{path}:1: default_backnd: unknown key; did you mean 'default_backend'?",
            f"{path}:3: providers: expected a table, got string",
            f"{path}:2: default_backend: expected the name of a backend, got integer",
            f'{path}:5: backends.plain: expected a table with a type, got string; write {{ type = "…" }}',
            f"{path}:6: backends.a/b: {in_name}",
            f"{path}:7: backends.: {in_name}",
            f"{path}:8: backends.number: type: expected the name of a type, got integer",
            f"{path}:9: backends.hpc: {no_type}",
        ]
        assert list(config.backends) == ["good"]
        with pytest.raises(ConfigError, match="hpc: has no type"):
            config.entry("backends", "hpc")
        with pytest.raises(ConfigError, match="providers: expected a table"):
            config.entry("providers", "ibm")
        with pytest.raises(ConfigError, match="expected the name of a backend"):
            _ = config.default_backend
        assert config.entry("backends", "good") is config.backends["good"]
        assert config.entry("backends", "unheard of") is None

    def test_keys_of_a_program_must_be_text(self) -> None:
        with pytest.raises(ConfigError, match="my program: the key 3 is no text"):
            Config.from_dict({"backends": {"a": {"type": "t", "x": {3: 4}}}}, "my program")


class TestFromDict:
    def test_needs_no_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path / "anyjob.toml", 'default_backend = "x"')
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ANYJOB_BACKEND", "y")
        config = Config.from_dict({"backends": {"a": {"type": "t"}}})
        assert config.default_backend is None
        assert config.origin("backends.a.type") == Origin("program", label="from_dict()")

    def test_keeps_its_own_copy(self) -> None:
        values: dict[str, Any] = {"backends": {"a": {"type": "t", "deep": {"x": [1]}}}}
        config = Config.from_dict(values)
        values["backends"]["a"]["deep"]["x"].append(2)
        config.backends["a"].options["deep"]["x"].append(3)
        assert config.to_dict(redact=False)["backends"]["a"]["deep"] == {"x": [1]}

    def test_overrides_leave_the_original_alone(self) -> None:
        config = Config.from_dict({"backends": {"a": {"type": "t", "x": 1}}})
        other = config.with_overrides({"backends": {"a": {"x": 2}}})
        assert config.backends["a"].options == {"x": 1}
        assert other.backends["a"].options == {"x": 2}

    def test_entries_pickle(self) -> None:
        entry = Config.from_dict({"backends": {"a": {"type": "t", "x": 1}}}).backends["a"]
        again = pickle.loads(pickle.dumps(entry))
        assert again.options == {"x": 1}
        assert again.options.where("x") == entry.options.where("x") == "from_dict(): backends.a.x"


class TestRedaction:
    CONFIG = Config.from_dict(
        {
            "backends": {
                "token": {
                    "type": "t",
                    "API_Key": "s3cret",
                    "nested": [{"password": "s3cret"}],
                    "blob": "s3cret",
                    "deep": {"blob": "s3cret"},
                    "url": "https://me:s3cret@host:80/x",
                    "token": {"env": "TOKEN"},
                    "object": Secret("s3cret"),
                    "max_tokens": 100,
                    "plain": "shown",
                }
            }
        }
    )

    def test_nothing_secret_is_shown(self) -> None:
        shown = self.CONFIG.to_dict(secret_keys=lambda entry: ["blob", "deep.blob"])
        assert "s3cret" not in repr(shown)
        assert shown["backends"]["token"] == {
            "type": "t",
            "API_Key": "***",
            "nested": [{"password": "***"}],
            "blob": "***",
            "deep": {"blob": "***"},
            "url": "https://me:***@host:80/x",
            "token": {"env": "TOKEN"},
            "object": {"literal": "***"},
            "max_tokens": 100,
            "plain": "shown",
        }

    def test_reprs_show_no_values(self) -> None:
        entry = self.CONFIG.backends["token"]
        assert "s3cret" not in repr(self.CONFIG) + repr(entry) + repr(self.CONFIG.layers())

    def test_a_program_may_ask_for_everything(self) -> None:
        assert self.CONFIG.to_dict(redact=False)["backends"]["token"]["blob"] == "s3cret"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HOME": "/home/me"},
        {"HOME": "relative"},
        {"XDG_CONFIG_HOME": "/x", "XDG_CONFIG_DIRS": "/y:/z", "XDG_STATE_HOME": "/s"},
        {"XDG_CONFIG_HOME": "relative", "XDG_CONFIG_DIRS": "relative:/z", "XDG_STATE_HOME": "relative"},
        {"XDG_CONFIG_HOME": "", "XDG_CONFIG_DIRS": "", "XDG_STATE_HOME": ""},
    ],
)
def test_the_directories_are_those_of_platformdirs(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    assert platform_directory("user_config", environ) == platformdirs.user_config_dir("anyjob")
    assert platform_directory("site_config", environ) == platformdirs.site_config_dir("anyjob")
    assert platform_directory("user_state", environ) == platformdirs.user_state_dir("anyjob")


def test_without_files_nothing_heavy_is_imported(tmp_path: Path) -> None:
    """Start-up stays quick for those who configure nothing."""
    program = (
        f"import sys; from anyjob.config.settings import Config; d = {str(tmp_path)!r}\n"
        "Config.load(d, {'ANYJOB_BACKEND': 'inline'}, d, d)\n"
        "heavy = {'tomllib', 'platformdirs', 'msgspec', 're', 'typing', 'pathlib', 'difflib',"
        " 'anyjob.text.toml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    # -S: what site's .pth files import is not ours.
    source = str(Path(__file__).parents[1] / "src")
    answer = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == "[]\n"


def test_lines_of_keys() -> None:
    text = (
        '# x = 0\na = 1\nb.c = 2\n[t."u.v"]\r\nd = """\na = 3\n"""\ne = [\n  1,\n]\n'
        "  [[list]] # a = 1\nf = 'x = 1'\n[[list]]\nf = 2\n"
        "[list.in]\ng = 1\n[[list.more]]\nh = 1\n"
    )
    assert key_lines(text) == {
        ("a",): 2,
        ("b", "c"): 3,
        ("b",): 3,
        ("t",): 4,
        ("t", "u.v"): 4,
        ("t", "u.v", "d"): 5,
        ("t", "u.v", "e"): 8,
        ("t", "u.v", "e", "[0]"): 9,
        ("list",): 11,
        ("list", "[0]"): 11,
        ("list", "[0]", "f"): 12,
        ("list", "[1]"): 13,
        ("list", "[1]", "f"): 14,
        ("list", "[1]", "in"): 15,
        ("list", "[1]", "in", "g"): 16,
        ("list", "[1]", "more"): 17,
        ("list", "[1]", "more", "[0]"): 17,
        ("list", "[1]", "more", "[0]", "h"): 18,
    }


def test_lines_of_the_entries_of_an_array() -> None:
    text = (
        "a = [1, 2]\nb = [ 0,\n  [\"x\"], # ], \n  { c = [\n1], d = ']' },\n"
        '  """\n  ]""", [ 3,\n4 ],\n]\nc = [ "a]" ]\n[t]\nd = 1\n'
    )
    assert key_lines(text) == {
        ("a",): 1,
        ("b",): 2,
        ("b", "[1]"): 3,
        ("b", "[1]", "[0]"): 3,
        ("b", "[2]"): 4,
        ("b", "[3]"): 6,
        ("b", "[4]"): 7,
        ("b", "[4]", "[0]"): 7,
        ("b", "[4]", "[1]"): 8,
        ("c",): 10,
        ("t",): 11,
        ("t", "d"): 12,
    }


@given(st.text("ab.=[]{},\"'# \n", max_size=60))
def test_any_text_has_lines(text: str) -> None:
    assert all(1 <= line <= text.count("\n") + 1 for line in key_lines(text).values())
