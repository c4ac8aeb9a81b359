"""The pages, so that each can link to the others."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from pincite.ui import (
    compare_page,
    documents_page,
    judge_page,
    markup,
    quality_page,
    reading_page,
    search_page,
    source_page,
    urlstate,
)
from pincite.ui.resources import Resources


@dataclass(frozen=True, slots=True)
class Pages:
    """Every page of the application."""

    search: StreamlitPage
    source: StreamlitPage
    """Not in the menu: it is reached from a hit or a document."""
    compare: StreamlitPage
    reading: StreamlitPage
    documents: StreamlitPage
    judge: StreamlitPage
    quality: StreamlitPage

    @classmethod
    def of(cls, resources: Resources) -> "Pages":
        """All of them over the same resources."""

        def page(
            show: Callable[["Pages", Resources], None], title: str, icon: str, **more: bool | str
        ) -> StreamlitPage:
            path = title.lower().replace(" ", "-")
            return st.Page(lambda: show(pages, resources), title=title, icon=icon, url_path=path, **more)  # type: ignore[arg-type]  # bools and strings mixed

        pages = cls(
            search=page(search_page.show, "Search", ":material/search:", default=True),
            source=page(source_page.show, "Source", ":material/description:", visibility="hidden"),
            compare=page(compare_page.show, "Compare", ":material/compare_arrows:"),
            reading=page(reading_page.show, "Reading list", ":material/bookmarks:"),
            documents=page(documents_page.show, "Documents", ":material/folder_open:"),
            judge=page(judge_page.show, "Judge", ":material/thumbs_up_down:"),
            quality=page(quality_page.show, "Quality", ":material/monitoring:"),
        )
        return pages

    def run(self) -> None:
        """Show the menu, and the page that the URL names."""
        urlstate.keep()
        every = [self.search, self.source, self.compare, self.reading, self.documents, self.judge, self.quality]
        # Before the menu is made: without an icon of our own a browser would fetch the page's from a foreign server.
        path = urlsplit(st.context.url or "").path.strip("/")
        markup.begin("wide" if path in (self.compare.url_path, self.documents.url_path) else "centered")
        st.navigation(every, position="top").run()
