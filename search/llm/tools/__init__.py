"""What a language model may look at and try while it explains a head: functions of text that give text.

desk.py holds what they share; each tool is a module of its own name; table.py lists them with their arguments.
"""
