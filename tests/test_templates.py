"""Whose template is used: the user's before the domain's before ours, each able to extend the one below it."""

import re
from pathlib import Path
from random import Random

import pytest

from agents import templates
from agents.coder import Coder
from agents.model import ScriptedModel
from agents.templates import Overrides, Templates, check, clipped, fenced, in_line
from agents.writer import Brief
from evolve.domains.kernelbench import KernelBench
from evolve.domains.kernels import Kernels
from evolve.domains.memory import Memories
from evolve.errors import UsageError
from evolve.types import REFINE, Attempt, Candidate, Evaluation, Task

TASK = Task(id="toy/a", domain="toy", prompt="Count.")


def folder(path: Path, **texts: str) -> Path:
    path.mkdir()
    for name, text in texts.items():
        (path / f"{name}.j2").write_text(text)
    return path


def test_the_users_template_comes_before_the_domains_and_that_before_ours(tmp_path: Path) -> None:
    user = folder(tmp_path / "user", draft="the user's")
    domain = folder(tmp_path / "domain", draft="the domain's", system="the domain's system")
    both = Templates(Overrides(user, {"toy": domain}))
    assert both.render("draft.j2", domain="toy") == "the user's"
    assert both.render("system.j2", domain="toy") == "the domain's system"
    assert both.render("system.j2", domain="other", task=TASK).startswith("You improve programs")


def test_one_sentence_is_replaced_by_extending_what_would_be_used_without_the_file(tmp_path: Path) -> None:
    user = folder(
        tmp_path / "user",
        system='{% extends "shipped/system.j2" %}{% block data %}\n{{ super() }}\nMine.\n{% endblock %}',
    )
    domain = folder(
        tmp_path / "domain", system='{% extends "shipped/system.j2" %}{% block role %}\nYou count.\n{% endblock %}'
    )
    ours = Templates().render("system.j2").splitlines()
    of_domain = Templates(Overrides(None, {"toy": domain})).render("system.j2", domain="toy").splitlines()
    of_both = Templates(Overrides(user, {"toy": domain})).render("system.j2", domain="toy").splitlines()
    assert of_domain == ["You count.", *ours[1:]]
    assert [line for line in of_both if line] == [*of_domain, "Mine."]


def test_what_is_included_is_replaced_too(tmp_path: Path) -> None:
    user = folder(tmp_path / "user", answer="Answer in verse.")
    said = Templates(Overrides(user)).render("repair.j2", problem="no", kept=None)
    assert said == "Your reply cannot be used: no.\nAnswer in verse."


def test_a_folder_that_holds_something_useless_is_refused_before_the_run(tmp_path: Path) -> None:
    user = folder(tmp_path / "user", drafts="x")
    with pytest.raises(UsageError, match=r"drafts\.j2 replaces nothing: .*did you mean: draft\.j2"):
        check(Overrides(user))
    with pytest.raises(UsageError, match=r"there is no folder of prompts .*nowhere"):
        check(Overrides(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"draft\.j2 cannot be used"):
        check(Overrides(folder(tmp_path / "broken", draft="{% if %}")))
    with pytest.raises(UsageError, match=r"names itself; what it replaces is called shipped/draft\.j2"):
        check(Overrides(folder(tmp_path / "itself", draft='{% extends "draft.j2" %}')))


@pytest.mark.parametrize("wrong", ["{{ 1 / 0 }}", "{{ {}['a'].b }}", "{% include 'draft.j2' %}"])
def test_a_template_that_breaks_while_it_is_used_is_named(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(UsageError, match=r"draft\.j2 cannot be used"):
        Templates(Overrides(folder(tmp_path / "user", draft=wrong))).render("draft.j2")


def test_a_folder_may_hold_parts_of_its_own_and_what_a_domain_has(tmp_path: Path) -> None:
    domain = folder(tmp_path / "domain", hints="h")
    user = folder(tmp_path / "user", draft='{% include "mine.j2" %}', mine="x", hints="y")
    (user / "README.md").write_text("Not a template.")
    check(Overrides(user, {"toy": domain}))
    check(Overrides())
    with pytest.raises(UsageError, match=r"hints\.j2 replaces nothing"):
        check(Overrides(user))


@pytest.mark.parametrize("domain", [Kernels, Memories, KernelBench])
def test_the_folders_of_our_domains_are_in_order(domain: type[Kernels | Memories | KernelBench]) -> None:
    assert domain.prompts is not None
    check(Overrides(domain.prompts, {"it": domain.prompts}))
    assert Templates(Overrides(None, {"it": domain.prompts})).render("system.j2", domain="it")


@pytest.mark.parametrize("text", ["{{ problem | clipped }}", "{{ problem.nothing }}", "{{ 1 / problem }}"])
def test_whatever_is_wrong_with_a_template_is_one_sentence(tmp_path: Path, text: str) -> None:
    broken = Templates(Overrides(folder(tmp_path / "user", repair=text)))
    with pytest.raises(UsageError, match=r"the prompt template repair\.j2 cannot be used: "):
        broken.render("repair.j2", problem="no")


def test_data_is_fenced_by_more_than_it_contains_and_cut_in_the_middle() -> None:
    assert fenced("a\n````\nb").splitlines()[0] == "`````"
    assert clipped("x" * 50 + "y" * 50, 20).startswith("x" * 16 + "\n[... 80 characters left out ...]\n")
    assert in_line("two\n  lines and ```a fence```", 19) == "two lines and '''a…"


def test_the_page_on_prompts_changes_one_sentence_as_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "prompts.md").read_text()
    [example] = re.findall(r"^```jinja\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    user = Overrides(folder(tmp_path / "mine", refine=example), {"kernels": Kernels.prompts})
    check(user)
    task = Kernels().tasks()[0]
    parent = Attempt(
        id="run/1", task=task.id, position=1, candidate=Candidate(files=task.files), evaluation=Evaluation(score=2.0)
    )
    brief = Brief("run/2", task, REFINE, parent, None, (), frozenset(), Random(1))

    def said(prompts: Overrides) -> list[str]:
        model = ScriptedModel(["", ""])
        Coder(model, prompts=prompts).write(brief)
        return model.prompts[0].messages[1].content.splitlines()

    before, after = said(user._replace(folder=None)), said(user)
    place = before.index("It must build and give the same results.") + 1
    assert after == [*before[:place], "Change as few lines as you can.", *before[place:]]


def test_the_page_on_prompts_names_every_block_and_template() -> None:
    page = (Path(__file__).parents[1] / "docs" / "prompts.md").read_text()
    ours = Path(templates.__file__).with_name("prompts")
    for name in ("draft.j2", "refine.j2", "system.j2"):
        blocks = re.findall(r"{% block (\w+) %}", (ours / name).read_text())
        listed = ", ".join(f"`{block}`" for block in blocks)
        assert f"`{name}`: {listed}." in " ".join(page.split())
    for name in ("answer.j2", "repair.j2", "advice.j2", "lore.j2"):
        assert (ours / name).is_file()
        assert f"`{name}`" in page
