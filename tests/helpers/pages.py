"""Pages as a browser would take them."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The elements of a page, each its tag and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def values(self, *names: str) -> list[str]:
        """The values of all attributes called so, in the order of the page."""
        return [values[name] for _, values in self.elements for name in names if name in values]
