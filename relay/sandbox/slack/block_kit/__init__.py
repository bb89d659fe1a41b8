"""Checks of Block Kit: which blocks, elements and text objects Slack accepts, as tables.

blocks ...... the blocks
elements .... what is inside: texts, buttons, menus, inputs, images
rich_text ... what a rich_text block holds
schema ...... the language of these tables, with Slack's messages
"""
