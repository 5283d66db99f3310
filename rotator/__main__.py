"""``python -m rotator`` and the command ``rotator``, which a wheel has with and without its extras."""

from rotator import extras


def main() -> None:
    """Run the command line, or name the extra that it needs."""
    with extras.missing_package_reported("cli"):
        from rotator.cli.main import main as command_line

        command_line()


if __name__ == "__main__":
    main()
