"""A campaign's LLM round in a process of its own, so that a test can kill it: ask_in_child.py URL FOLDER."""

import sys
from pathlib import Path

from chat_server import previous_token_evidence

from search.llm.litellm_backend import LiteLLMBackend
from search.llm.proposer import HeadTask, LLMProposer
from search.llm.settings import LLMSettings, Model
from search.validate import LiftRecord

if __name__ == "__main__":
    url, folder = sys.argv[1:]
    settings = LLMSettings((Model("openai/a"),), base_url=url, concurrency=2)
    proposer = LLMProposer(settings, LiteLLMBackend(settings), Path(folder), translate=LiftRecord)
    proposer.propose([HeadTask(previous_token_evidence(0, h)) for h in range(8)])
