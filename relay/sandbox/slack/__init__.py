"""A strict fake of Slack: its Web API, channels, messages, users, interactivity and Socket Mode.

server .................................. the HTTP server
methods ................................. the methods of the Web API, one row each
chat, conversations, users, views ....... what they do; `views` also checks modals
arguments, errors, objects .............. what a method takes and returns
workspace, channel, apps ................ what the workspace holds
message_content, block_kit .............. whether Slack accepts a message
mentions, plain_text .................... whom a message pings, and how it reads
interactions, interactivity, payloads ... what users do, and how the app receives it
socket_mode ............................. the other way to receive it
"""
