"""What the documentation says must be what the code does."""

import re
from pathlib import Path

from flowforge_assets.yaml_reference import reference

ROOT = Path(__file__).parent.parent


def test_the_yaml_reference_is_what_the_models_say():
    assert (ROOT / "docs" / "yaml-reference.md").read_text() == reference(), "run `make docs`"


def test_every_field_a_user_can_write_is_described():
    undescribed = [line for line in reference().splitlines() if re.match(r"\| `\w+` .*\|\s*\|$", line)]
    assert not undescribed


def test_every_link_between_pages_leads_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_dependency_has_its_reason():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = [re.split(r"[\[><=]", one)[0] for one in project["project"]["dependencies"]]
    reasons = (ROOT / "CONTRIBUTING.md").read_text()
    assert not [name for name in names if not re.search(rf"\b{re.escape(name)}\b", reasons)]


def test_the_columns_of_the_page_about_types_can_be_declared():
    import yaml

    from flowforge_assets.table_spec import Column

    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "types.md").read_text(), re.DOTALL)
    columns = [Column.model_validate(one) for one in yaml.safe_load(example)["columns"]]
    assert columns[1].expected.startswith("decimal(12,2) (decimal_separator: ,")
