"""Stage 1, inside: letters -> tokens -> Lark tree -> syntax tree -> text again, and what is said when a step fails.

`frontend.parse` and `frontend.format` are the doors; nothing else outside reads these files.
"""
