"""The messages for one head: as much evidence as fits into the prompt."""

from __future__ import annotations

from collections.abc import Mapping

from search.llm import reference
from search.llm.backend import Messages
from search.llm.evidence import HeadEvidence, hints, listing
from search.llm.prompt import Template, estimate_tokens
from search.llm.protocol import TEXT, manual
from search.llm.settings import LLMSettings
from search.llm.survey import SURVEY_TOOLS, Survey, overview
from search.llm.tools.desk import Desk

# texts, cells per stratum and text, tokens shown of a text: from rich to poor
_SIZES = (
    (5, 16, 256),
    (5, 12, 192),
    (4, 14, 128),
    (4, 11, 128),
    (4, 9, 96),
    (3, 10, 96),
    (3, 8, 96),
    (3, 6, 96),
    (2, 7, 96),
    (2, 5, 96),
    (2, 4, 64),
    (2, 3, 48),
    (1, 4, 48),
    (1, 3, 32),
    (1, 2, 16),
)


def compose(evidence: HeadEvidence, template: Template, budget: int, feedback: Mapping[str, str] | None = None) -> Messages:
    """System and user message of at most about `budget` tokens (estimated). feedback: values of the template's feedback section,
    or None in the first round. Where even the least evidence does not fit, first the language reference is shortened, then the
    example is left out, then the feedback's details are cut."""
    annotated = any(text.annotated for text in evidence.texts)
    values = {
        "head": evidence.name,
        "mask": reference.mask(evidence.causal),
        "hints": hints(evidence),
        "environment": reference.environment(annotated),
        "form": reference.form(),
    }
    system = template.fill("system", {})
    for language, example, detailed in (
        (reference.language(annotated), reference.example(evidence.causal), True),
        (reference.brief_language(annotated), reference.example(evidence.causal), True),
        (reference.brief_language(annotated), "", True),
        (reference.brief_language(annotated), "", False),
    ):
        values |= {"language": language, "example": example, "feedback": ""}
        if feedback is not None:
            values["feedback"] = template.fill("feedback", feedback if detailed else {**feedback, "details": ""})
        # a rich prompt is worth more than a full reference, but not the poorest one
        sizes = _SIZES[:-3] if example else _SIZES
        for size in sizes:
            messages = _messages(system, template.fill("propose", {**values, "cells": listing(evidence, *size)}))
            if sum(estimate_tokens(content) for _, content in messages) <= budget:
                return messages
    return messages  # the least there is to say


def opening(evidence: HeadEvidence, template: Template, desk: Desk, known: str, settings: LLMSettings) -> Messages:
    """The first messages of a conversation with tools: what is the same for all heads, then the head."""
    annotated = any(text.annotated for text in evidence.texts)
    protocol = TEXT if settings.protocol == "auto" else settings.protocol
    values = {"language": reference.language(annotated), "tools": manual(protocol), "parsimony": f"{desk.parsimony:g}"}
    kinds = desk.fit.domains.names
    texts = f"{len(desk.fit)} texts" + (f" of {len(kinds)} kinds ({', '.join(kinds)})" if len(kinds) > 1 else "")
    head = {
        "head": evidence.name,
        "mask": reference.mask(evidence.causal),
        "hints": hints(evidence),
        "known": f"{_at_hand(desk)}{known}\nTools see {texts}; others choose.",
        "rounds": str(settings.rounds),
    }
    return _messages(template.fill("explainer", values), template.fill("explain", head))


def surveying(template: Template, desk: Survey, settings: LLMSettings) -> Messages:
    """The first messages of the conversation about the whole model."""
    annotated = any(text.annotated for text in desk.fit.texts_given)
    protocol = TEXT if settings.protocol == "auto" else settings.protocol
    tools = manual(protocol, SURVEY_TOOLS)
    values = {"language": reference.language(annotated), "tools": tools, "parsimony": f"{desk.parsimony:g}"}
    model = {
        "mask": reference.mask(desk.fit.causal),
        "kinds": overview(desk),
        "known": _at_hand(desk),
        "rounds": str(settings.rounds),
    }
    return _messages(template.fill("explainer", values), template.fill("survey", model))


def _at_hand(desk: Desk) -> str:
    if not desk.concepts:
        return ""
    return "Concepts at hand:\n" + "\n".join(map(str, desk.concepts.values())) + "\n"


def correction(first: Messages, answer: str, template: Template, problems: str) -> Messages:
    """The conversation so far, the answer, and what is wrong with it."""
    return (*first, ("assistant", answer), ("user", template.fill("correct", {"problems": problems})))


def _messages(system: str, user: str) -> Messages:
    return (("system", system), ("user", user))
