"""What happened, which cards exist, and what each does next: all decisions about cards, and all of them pure."""
