"""The board: web pages for operators, off without a key.

    sessions ...... who is signed in, as a signed cookie; the token that every change must carry
    access ........ signing in, the Origin check, the headers of every page, how wrong keys are slowed
    pages ......... the addresses: what each page shows, and what each button does
    templates ..... the pages (Jinja, autoescape on)
    static ........ the style, and htmx (https://htmx.org, Zero-Clause BSD), with which pages refresh themselves

`relay.tools.board` reads the contents of the pages. The pages work without JavaScript.
"""
