"""Question answering over reports: answers of no span, one span or several.

Built after the abstract of R. Choudhary et al., "Activity report analysis with
automatic single or multispan answer extraction", arXiv:2209.09316. Installed by the
extra `qa`; nothing else of the package imports it. Loads lazily.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "answers": ["answer_questions", "evaluate"],
        "config": ["QAConfig"],
        "decoding": ["Prediction", "decode"],
        "encoders": ["build_encoder"],
        "example": ["QAExample", "TYPES"],
        "exporter": ["export_reader"],
        "metrics": ["score"],
        "multi_span_reader": ["MultiSpanReader"],
        "readers": ["read_examples"],
        "reports": ["generate"],
        "run": ["QARun", "load_qa_run"],
        "served": ["Served"],
        "tokenization": ["OffsetTokenizer"],
        "trainer": ["train_reader"],
        "windows": ["Window", "cut_windows"],
    },
)
