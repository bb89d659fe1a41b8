"""Turns the text that a template printed into Block Kit that fits.

tags ................ the block tags, one row each
marks ............... how a tag leaves its place in the printed text
tree ................ the printed text as a tree of tags
compose ............. what each tag makes of its part of the tree
parts ............... paragraphs, headlines, fields and the like; each becomes one block
inline, rich_text ... running text to mrkdwn, escaped once
raw_blocks .......... `{% blocks %}`
fit ................. what is cut or left out so that Slack accepts the message
characters, urls .... characters as Slack counts them; addresses that Slack accepts
"""
