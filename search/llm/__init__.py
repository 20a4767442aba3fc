"""Programs proposed by language models: evidence and prompt, backend and cache, answers, refinement.

The order of reading: evidence.py (what a head does, as text), prompt.py (templates), backend.py (messages in, text out),
store.py and replay.py (every answer is kept), budget.py and ask.py (who is asked and when), answers.py (programs in an answer),
refine.py (feedback), proposer.py (all of it together). Nothing here imports litellm until a call is to be made.
"""
