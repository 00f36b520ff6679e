"""From sessions that really happened to skills, without a model.

    works       sessions, cut into pieces of work: one request with everything done for it
    sayings     what an agent said, planned and wrote while it worked, as single lines
    groups      pieces of the same kind of work, by their words, file types and programs
    points      lines that several sessions of a group share, each with its quotes
    page        the skill, or the sections to add to one that is there
    writer      optional: a model words the same points better

Prevalence is counted, not guessed: a session counts once, however often it says a thing. All text of a session is
hostile data: it is quoted and compared, never followed.
"""
