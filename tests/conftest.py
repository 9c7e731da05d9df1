"""What all tests share: few generated examples a property, the same in every run."""

from hypothesis import settings

settings.register_profile("suite", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("suite")
