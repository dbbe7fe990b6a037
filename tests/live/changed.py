"""Runs mitmdump with a mitmproxy whose source is another: changed.py CHANGES [ARGUMENT …].

CHANGES is JSON: pairs of a regular expression and what stands in its place, in all of mitmproxy.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        source = self.get_data(self.path).decode()
        for pattern, replacement in _changes:
            source = re.sub(pattern, replacement, source)
        return compile(source, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "mitmproxy":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


if __name__ == "__main__":
    _changes: list[list[str]] = json.loads(sys.argv.pop(1))
    sys.meta_path.insert(0, _Finder())
    from mitmproxy.tools.main import mitmdump

    mitmdump()
