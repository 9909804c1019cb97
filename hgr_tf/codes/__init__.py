"""Codes of users and items as tables and pages. Loads lazily."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "code_file": ["write_codes"],
        "coded": ["Coded"],
        "groups": ["Group", "describe_groups"],
        "item_codes": ["item_codes"],
        "of_split": ["groups_of_split"],
        "page": ["html_page"],
        "user_codes": ["codes_of_split", "codes_of_table"],
    },
)
