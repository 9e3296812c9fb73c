"""What workers and exports leave for the dashboard, and who may see it.

``study_page`` and ``trial_page`` write what it shows; ``guard`` checks password, Host and Origin before anything is
answered.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.web.dashboard import serve_dashboard as serve_dashboard
    from search.web.study_page import feed_export as feed_export
    from search.web.study_page import feed_study as feed_study
    from search.web.trial_page import feed_trial as feed_trial

__getattr__ = lazily(
    __name__, dashboard="serve_dashboard", study_page="feed_export feed_study", trial_page="feed_trial"
)
