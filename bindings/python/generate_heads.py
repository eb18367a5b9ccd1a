#!/usr/bin/env python3
"""Writes python/arcos/heads.py, a class for each head of the library with its options as keywords, from the library's own list.

generate_heads.py          writes the file
generate_heads.py --check  says whether the file is current, by its exit status
"""

import importlib.machinery
import importlib.util
import keyword
import sys
from pathlib import Path
from types import ModuleType

OUTPUT = Path(__file__).parent / "python/arcos/heads.py"

HEADER = '''"""The heads, a class each. Made by generate_heads.py from the library's list: changes belong there.

θ is the angle between a feature and a class vector in radians, s the scale, m the margin; "target" is what stands for `s cosθ` of the labelled
class in training. At inference there is no margin.
"""

from typing import Literal

from ._arcos import Head

__all__ = [
    "Head",
{names}]
'''


def native() -> ModuleType:
    """The installed package's native part, without the rest, which needs what is made here."""
    package = importlib.util.find_spec("arcos")
    if package is None or package.submodule_search_locations is None:
        sys.exit("no package arcos is installed; install the wheel first")
    (directory,) = package.submodule_search_locations
    loader = importlib.machinery.ExtensionFileLoader("arcos._arcos", str(next(Path(directory).glob("_arcos*.so"))))
    spec = importlib.util.spec_from_loader("arcos._arcos", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def python_name(option: str) -> str:
    name = option.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def type_of(option: dict) -> str:
    if option["words"] == ["true", "false"]:
        return "bool"
    parts = []
    if option["range"] is not None or not option["words"]:
        parts.append("int" if option["whole"] else "float")
    if option["words"]:
        parts.append(f"Literal[{', '.join(quoted(word) for word in option['words'])}]")
    if option["default"] == "none":
        parts.append("None")
    return " | ".join(parts)


def default_of(option: dict) -> str:
    default = option["default"]
    if default == "none" or option["words"] == ["true", "false"]:
        return default.capitalize()
    if default in option["words"]:
        return quoted(default)
    return default if option["whole"] else repr(float(default))


def quoted(word: str) -> str:
    return f'"{word}"'


def class_of(name: str, class_name: str, formula: str, options: list[dict]) -> str:
    lines = [f"class {class_name}(Head):", f'    """{name}: `{formula}`.']
    if options:
        lines.append("")
    for option in options:
        range_of = f" ({option['range']})" if option["range"] else ""
        lines.append(f"    {python_name(option['name'])}: {option['help']}{range_of}.")
    if options:
        lines.append('    """')
    else:
        lines[-1] += '"""'
    lines.append("")
    names = [python_name(option["name"]) for option in options]
    if options:
        lines += ["    def __new__(", "        cls,", "        *,"]
        lines += [f"        {name}: {type_of(option)} = {default_of(option)}," for name, option in zip(names, options)]
        lines += [f'    ) -> "{class_name}":']
    else:
        lines.append(f'    def __new__(cls) -> "{class_name}":')
    arguments = "".join(f", {name}={name}" for name in names)
    lines.append(f'        return super().__new__(cls, "{name}"{arguments})')
    return "\n".join(lines) + "\n"


def main() -> None:
    heads = native().head_list()
    names = "".join(f"    {quoted(class_name)},\n" for class_name in sorted(class_name for _, class_name, _, _ in heads))
    text = "\n\n".join([HEADER.format(names=names), *(class_of(*head) for head in heads)])
    if sys.argv[1:] == ["--check"]:
        if OUTPUT.read_text(encoding="utf-8") != text:
            sys.exit(f"{OUTPUT} is not what the library's list says; run {Path(__file__).name}")
    else:
        OUTPUT.write_text(text, encoding="utf-8")


main()
