"""Taking out of a program what it does not use."""

from __future__ import annotations

import textwrap

from hjbdsl.codegen.pruning import pruned

MAIN = 'if __name__ == "__main__":\n    main()\n'


def program(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n") + MAIN


def test_what_main_does_not_reach_goes_with_its_comment() -> None:
    source = program("""
        import math
        from typing import Any, NamedTuple

        A, B = 1, 2
        C = 3  # nobody asks


        # line 3 of the file
        def unused():
            return unused_too() + C


        def unused_too():
            return math.pi


        # stays
        def main():
            é = A  # a letter of two bytes
            return Any, é


    """)
    left = pruned(source, ())
    assert "import math" not in left
    assert "from typing import Any\n" in left
    assert "A, B = 1, 2" in left
    assert "unused" not in left
    assert "line 3" not in left
    assert "# stays\ndef main():\n    é = A  # a letter of two bytes" in left


def test_settled_branches_are_taken_or_left() -> None:
    source = program("""
        EXIT = False
        COUNT = 2


        def main(x):
            # said of the exit
            if EXIT:
                x = 1
            elif x > 0:
                x = 2
            else:
                x = 3
            if x:
                y = 1
            elif not EXIT:
                # kept
                y = 4
            else:
                y = 5
            if COUNT > 1:
                if EXIT:
                    x += 1
                x += 2
            for k in range(3):
                if EXIT:
                    x += 5
            while x > 3 and not EXIT and y:
                y = 0
            return "é", (x if EXIT and x else y)


    """)
    expected = program("""
        def main(x):
            # said of the exit
            if x > 0:
                x = 2
            else:
                x = 3
            if x:
                y = 1
            else:
                # kept
                y = 4
            x += 2
            for k in range(3):
                pass
            while x > 3 and y:
                y = 0
            return "é", (y)


    """)
    assert pruned(source, ("EXIT", "COUNT")) == expected
    assert pruned(expected, ("EXIT", "COUNT")) == expected


def test_what_may_be_changed_is_not_settled() -> None:
    source = program("""
        TWICE = False


        def main(x):
            return 2 * x if TWICE else x


    """)
    assert pruned(source, ("EXIT",)) == source
