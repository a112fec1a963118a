"""A report on jobs: figures, one page of HTML without network, a trace, a table of commas. Pure functions of
`anyjob.views.reported_job.ReportedJob`; all text of jobs in it has gone through `anyjob.text.markup`.
"""
