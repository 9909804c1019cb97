"""Training runs: config, trainer, run folder. Loads lazily."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "config": ["ConfigError", "RunConfig"],
        "diagnostics": ["QuantizerDiagnostics"],
        "days": ["train_days"],
        "importance": [
            "Importance",
            "PermutationImportance",
            "permutables",
            "permutation_importance",
        ],
        "interrupted": [
            "INTERRUPTED",
            "TrainingInterruptedError",
            "WorkerLostError",
        ],
        "method": ["MethodConfig"],
        "build_and_evaluate": ["evaluate"],
        "run": ["Run", "load_run"],
        "run_folder": ["RunError", "RunFolder"],
        "trainer": ["train"],
    },
)
