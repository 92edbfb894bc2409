"""What all commands share: options, start-up, errors, progress, interruption."""
