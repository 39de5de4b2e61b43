"""The package's long description: the README without what points into the source tree."""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"^!\[[^\]]*\]\((?!https?:)[^)]*\)\n\n", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)[^)]*\)")


class ReadmeForAnIndex(MetadataHookInterface):
    """An index shows the description without our files: a relative address leads nowhere there."""

    def update(self, metadata: dict[str, object]) -> None:
        """Set `project.readme`."""
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = LINK.sub(r"\1", PICTURE.sub("", readme))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
