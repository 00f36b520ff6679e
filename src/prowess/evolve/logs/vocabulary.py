"""Word lists: what says little, what is a verb of work, what is a format."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


STOP = _set(
    """a about above after again all also am an and any are aren as at back be been before being below between both but
    by can come could did do does doing done don down during each either else etc even ever every exactly few first for
    from further get gets getting give given go going good got great had has have having he help her here him his how i
    if in into is isn it its itself just keep know last least less let like ll look looking lot made make makes making
    many may maybe me might mine more most much must my need needed needs neither new next no nor not now of off ok okay
    on once one only or other our out over own per perfect please proceed put re really right s same second see seem
    should show since so some something start still such sure t take than thank that the their them then there these
    they thing things think this those through thus to together too try two under understand until up upon us use used
    user uses using ve very want wants was way we well were what when where whether which while who whole why will with
    within without work working works would yes yet you your current currently correct correctly available information
    actually already another based different ensure exact full instead later several step steps three"""
)
"""English words that say nothing about a kind of work."""

DULL = _set(
    """file files script scripts write read output input run create load print save python python3 root data result
    results value values list line lines text task tasks structure path paths json code content section sections step
    summary total answer complete main function import name names number numbers count counts check verify format
    string row rows column columns final set add find follow request package packages install bash process processing
    calculation calculate analyze example generate generated using required version current filled available found
    included includes include items item single multiple across directory folder folders document"""
)
"""Words of all work with a computer, unfit to name a kind of it."""

VERBS = _set(
    """add adjust analyze apply build calculate calibrate call categorize change check choose clean collect combine
    compare compile compute configure construct convert copy count create define deploy design detect determine download
    draft draw edit ensure examine execute explore export extract fetch fill filter find fix follow format gather
    generate get handle identify implement inspect install keep list load locate look map match measure merge modify
    move open organize parse place plan plot prepare print process project put query read rebuild recalculate record
    render replace rerun reset resolve review rewrite run save scan search select set sort split start summarize test
    trace track translate try tune understand update use validate verify view walk write"""
)
"""What a line of instructions begins with."""

FORMATS = _set(
    """csv tsv json jsonl yaml yml toml ini xml html css md txt pdf docx doc xlsx xls pptx odt ods rtf py js ts tsx java
    scala go rs c cpp h rb php swift sh sql db sqlite parquet png jpg jpeg svg gif mp4 mov mp3 wav zip tar gz nc h5 npy
    pkl ipynb tex log geojson shp eml ics nml patch"""
)
"""Endings of file names; others are more often parts of code."""

ORDINARY = _set(
    """json re os sys csv datetime time math collections itertools subprocess pathlib copy io glob shutil typing random
    java javax com org scala cd ls cat echo head tail mkdir python python3 pip pip3 for do done which wc sort find grep
    mv cp rm sed awk xargs true if then fi while touch chmod tee"""
)
"""Programs and modules that tell no kind of work from another."""

EVERYWHERE = _set("append items keys values format strip split join range enumerate sorted float open list dict")
"""Functions that say nothing about what code is for."""
