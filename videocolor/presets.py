"""Configuration files: where presets live, how YAML is read, how layers merge, how mistakes are explained.

    defaults in the model  <  preset or file  <  --set section.key=value  <  flags of the command

Nothing here knows what the keys mean; the pydantic model that is passed in does.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from videocolor.errors import ConfigError

__all__ = [
    "Preset",
    "config_root",
    "dump_yaml",
    "find_preset",
    "list_presets",
    "load_model",
    "read_yaml",
    "suggest",
    "yaml_line",
]

M = TypeVar("M", bound=BaseModel)
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
"""JSON leaves these in text as they are; YAML refuses them, or takes them for line breaks."""


@dataclass(frozen=True)
class Preset:
    """A packaged configuration file."""

    name: str
    """`command/preset`, as `--config` takes it."""
    path: Path
    summary: str
    """First comment line of the file."""

    @property
    def command(self) -> str:
        """The command that the preset is for."""
        return self.name.split("/", 1)[0]


def config_root() -> Path:
    """Return the installed `videocolor/configs`, else the checkout's `configs/` (editable installs)."""
    packaged = Path(__file__).parent / "configs"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "configs"


def list_presets(command: str | None = None) -> list[Preset]:
    """Return packaged presets sorted by name; those of one command where it is given."""
    root = config_root()
    found = []
    for path in sorted(root.glob("*/**/*.yaml")):
        name = path.relative_to(root).with_suffix("").as_posix()
        if command is None or name.startswith(f"{command}/"):
            found.append(Preset(name, path, _summary(path)))
    return found


def find_preset(name_or_path: str | Path, command: str) -> Path:
    """Find the file of `--config`: a path, `command/preset`, or the preset's name alone.

    Raises:
        ConfigError: there is neither such a preset nor such a file; the message offers the nearest names.
    """
    text = str(name_or_path)
    path = Path(name_or_path)
    is_yaml = path.suffix.lower() in (".yaml", ".yml")
    presets = {preset.name: preset.path for preset in list_presets()}
    if not is_yaml:
        for name in (text, f"{command}/{text}"):
            if name in presets:
                return presets[name]
    if path.is_file():
        return path
    if is_yaml:
        raise ConfigError(f"{text}: no such configuration file")
    known = [name for name in presets if name.startswith(f"{command}/")]
    names = known + [name.split("/", 1)[1] for name in known]
    raise ConfigError(
        f"{text}: neither a preset nor a file{suggest(text, names)}; presets: {', '.join(known) or 'none'}"
    )


def suggest(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for a near miss, else nothing."""
    near = difflib.get_close_matches(wrong.lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file as a mapping; an empty file is an empty mapping.

    Raises:
        ConfigError: the file cannot be read, is not YAML, holds a key twice, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    values = _parse(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected sections with keys, found {type(values).__name__}")
    return values


def load_model(
    model: type[M],
    command: str,
    source: str | Path | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
) -> M:
    """Merge defaults, file, `--set` and flags, in this order of precedence, and validate the result.

    Args:
        model: the pydantic model; its defaults are the lowest layer.
        command: folder of `configs/` in which preset names are looked up.
        source: preset name or path; None: defaults alone.
        overrides: `section.key=value`, the value parsed as YAML.
        flags: dotted key to value; None values mean "flag not given".

    Raises:
        ConfigError: names the file or option, the key, the value and what is allowed.
    """
    path = None if source is None else find_preset(source, command)
    values = {} if path is None else read_yaml(path)
    origins: dict[str, str] = {}
    for item in overrides:
        key, value = _parse_override(item)
        _assign(values, key, value, "--set")
        origins[key] = "--set"
    for key, value in (flags or {}).items():
        if value is not None:
            _assign(values, key, value, "command line")
            origins[key] = "command line"
    try:
        return model.model_validate(values)
    except ValidationError as error:
        where = str(path) if path else "configuration"
        lines = [_explain(model, detail, where, origins) for detail in _merge_unions(error)]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from error


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: `00:01:02.5` and `no` stay text; a key given twice is an error."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (replaces PyYAML's class attribute)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))


def yaml_line(value: Any) -> str:
    """Plain values as one line of YAML that is read back as it was, whatever characters its texts hold.

    It is JSON; but outside the basic plane characters stand as they are, since YAML knows no surrogate pairs.
    """
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{where}{place}: not valid YAML: {getattr(error, 'problem', error)}") from error


def _parse_override(item: str) -> tuple[str, Any]:
    key, equals, text = item.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.[\w-]+)*", key):
        raise ConfigError(f"--set {item}: expected key=value with the whole key, as in output.codec=ffv1")
    return key, _parse(text, f"--set {key}")


def _assign(values: dict[str, Any], key: str, value: Any, origin: str) -> None:
    *sections, last = key.split(".")
    for section in sections:
        inner = values.get(section)
        if inner is None:
            inner = values[section] = {}
        elif not isinstance(inner, dict):
            raise ConfigError(f"{origin} {key}: {section} is a value, not a section")
        values = inner
    values[last] = value


def _merge_unions(error: ValidationError) -> list[ErrorDetails]:
    """One detail for a key: a union reports every branch that did not match."""
    kept: dict[tuple[int | str, ...], ErrorDetails] = {}
    for detail in error.errors(include_url=False):
        loc = detail["loc"]
        if loc and loc[-1] in ("int", "float", "str"):
            loc = loc[:-1]
        kept.setdefault(loc, {**detail, "loc": loc})
    return list(kept.values())


def _explain(model: type[BaseModel], detail: ErrorDetails, where: str, origins: Mapping[str, str]) -> str:
    """One line: where, key, value, what is wrong, what is allowed."""
    loc = tuple(str(part) for part in detail["loc"])
    key = ".".join(loc) or "file"
    place = next((place for name, place in origins.items() if f"{name}.".startswith(f"{key}.")), where)
    place = next((place for name, place in origins.items() if key.startswith(f"{name}.")), place)
    section, field = _find(model, loc)
    if detail["type"] == "extra_forbidden":
        known = list(section.model_fields) if section else []
        return f"{place}: unknown key {key}{suggest(loc[-1], known)} (allowed: {', '.join(known)})"
    message = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
    about = (field.description or "").partition("\n")[0] if field else ""
    if detail["type"] == "literal_error" and field:
        allowed = [str(value) for value in get_args(field.annotation)]
        message = f"expected one of {', '.join(allowed)}{suggest(str(detail['input']), allowed)}"
        about = ""
    elif detail["type"] == "string_pattern_mismatch":
        message, about = f"expected {about}", ""
    elif detail["type"] == "bool_type":
        message, about = "expected true or false", ""
    return f"{place}: {key} = {detail['input']!r}: {message}" + (f" ({about})" if about else "")


def _find(model: type[BaseModel], loc: Sequence[str]) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """Return the section that holds a key, and the key's field if there is one."""
    section: type[BaseModel] | None = model
    field: FieldInfo | None = None
    inner: Any = model
    for part in loc:
        if part.isdecimal() and get_origin(inner) is tuple:  # a place in a list
            inner = get_args(inner)[0]
            continue
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return None, field
        section, field = inner, inner.model_fields.get(part)
        inner = field.annotation if field else None
    return section, field


def _summary(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        first = lines.readline().strip()
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def dump_yaml(config: BaseModel, *, comments: bool = False) -> str:
    """YAML of a configuration, section by section."""
    values = config.model_dump(mode="json")
    lines: list[str] = []
    for name, section in config:
        if not isinstance(section, BaseModel):
            lines += [_yaml({name: values[name]})]
            continue
        lines.append(f"{name}:")
        for key, field in type(section).model_fields.items():
            if comments and field.description:
                lines += [f"  # {line}" for line in field.description.splitlines()]
            lines += [f"  {line}" for line in _yaml({key: values[name][key]}).splitlines()]
    return "\n".join(lines) + "\n"


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000).rstrip("\n")
