"""infra/docs/terraform-cdk-sam.md as its tests read it: the code, exactly as it is printed."""

from __future__ import annotations

import re

from conftest import CHECKOUT

GUIDE = CHECKOUT / "infra" / "docs" / "terraform-cdk-sam.md"


def block(language: str) -> str:
    """The guide's only block in a language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)
