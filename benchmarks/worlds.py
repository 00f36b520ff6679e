"""Steps per second and memory of each world: the bare package, our engine, an episode, and eight episodes at once.

    python benchmarks/worlds.py [WORLD ...] [--steps 40] [--repeats 5] [--json FILE]

All four play the very same episodes, drawn by chance before (gold ones in worlds that list no actions), the starts of
episodes included; each runs in a process of its own, several times, in turn. The bare package is called as its own
examples do. Where two figures are given as a ratio, it is that of the medians. Bare MiniWoB++ (by Selenium, for which
`chromedriver` must be there) numbers the things of a page otherwise: it draws pages by the same seeds and clicks as
often, on things of its own choice.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EPISODES = 6
MODES = ("bare", "engine", "episode", "eight")
FAMILIES = {
    "babyai": ("GoToLocal", "PutNext", "GoToObjMaze"),
    "textworld-express": ("cookingworld", "coin", "twc"),
    "scienceworld": ("find-plant", "power-component", "lifespan-longest-lived"),
    "tau2": ("service_issue", "mobile_data_issue", "mms_issue"),
    "textworld": ("cooking", "coin", "treasure"),
    "bfcl": ("files", "trading", "travel"),
    "agentdojo": ("workspace", "banking", "slack"),
    "miniwob": ("click-button", "click-checkboxes", "click-tab-2"),
    "alfworld": ("pick_and_place_simple", "look_at_obj_in_light", "pick_two_obj_and_place"),
}


# --- the bare packages; each plays (start, actions) and knows nothing of prowess


def bare(world: str) -> Any:  # noqa: PLR0915 - one branch for each world
    """A function that plays one episode with the package alone."""
    if world == "babyai":
        import gymnasium
        import minigrid  # noqa: F401

        moves = ("turn left", "turn right", "go forward", "pick up", "drop", "toggle")
        made: dict[str, Any] = {}

        def grid(start: dict[str, Any], actions: list[str]) -> None:
            level = start["level"]
            if level not in made:
                made[level] = gymnasium.make(level)
            env = made[level]
            env.reset(seed=start["seed"])
            for action in actions:
                env.step(moves.index(action))

        return grid
    if world == "textworld-express":
        from textworld_express import TextWorldExpressEnv

        games = TextWorldExpressEnv(envStepLimit=1_000_000)

        def game(start: dict[str, Any], actions: list[str]) -> None:
            games.reset(
                seed=start["seed"], gameFold=start["fold"], gameName=start["game"], gameParams=start["parameters"]
            )
            for action in actions:
                games.step(action)

        return game
    if world == "scienceworld":
        from scienceworld import ScienceWorldEnv

        laboratory = ScienceWorldEnv("", envStepLimit=1_000_000)

        def experiment(start: dict[str, Any], actions: list[str]) -> None:
            laboratory.load(start["task"], start["variation"], start["simplified"])
            laboratory.reset()
            for action in actions:
                laboratory.step(action)

        return experiment
    if world == "bfcl":
        return _conversation
    if world == "agentdojo":
        return _errand()
    if world == "tau2":
        from loguru import logger

        logger.disable("tau2")
        from tau2.data_model.message import ToolCall
        from tau2.domains.telecom.environment import get_environment, get_tasks

        tickets = {task.id: task for task in get_tasks(None)}

        def desk(start: dict[str, Any], actions: list[str]) -> None:
            env, begin = get_environment(solo_mode=True), tickets[start["task"]].initial_state
            env.set_state(begin.initialization_data, begin.initialization_actions, [])
            for action in actions:
                name, _, arguments = action.partition(" ")
                env.get_response(
                    ToolCall(id="", name=name, arguments=json.loads(arguments or "{}"), requestor="assistant")
                )

        return desk
    if world == "miniwob":
        os.environ["SE_OFFLINE"] = "true"  # no search for a driver in the network
        import gymnasium
        import miniwob
        from miniwob.action import ActionTypes

        gymnasium.register_envs(miniwob)
        pages: dict[str, Any] = {}

        def page(start: dict[str, Any], actions: list[str]) -> None:
            task = start["task"]
            if task not in pages:
                pages[task] = gymnasium.make(f"miniwob/{task}-v1")
            env = pages[task]
            draw = random.Random(0)
            seen, _ = env.reset(seed=int(start["seed"]))
            for _ in actions:
                refs = [element["ref"] for element in seen["dom_elements"] if element["ref"] > 0]
                act = env.unwrapped.create_action(ActionTypes.CLICK_ELEMENT, ref=draw.choice(refs))
                seen, _, over, _, _ = env.step(act)
                if over:
                    seen, _ = env.reset(seed=int(start["seed"]))

        return page
    if world == "alfworld":
        import textworld
        from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
        from textworld.envs import PddlEnv

        from prowess.suites.worlds.household import game as drawn_game

        house = AlfredDemangler(PddlEnv(textworld.EnvInfos(admissible_commands=True, won=True, facts=True)))

        def chore(start: dict[str, Any], actions: list[str]) -> None:
            house.load(drawn_game(start)[0])
            house.reset()
            for action in actions:
                house.step(action)

        return chore
    import textworld

    from prowess.suites.worlds.textworld import game as compiled

    asked = textworld.EnvInfos(
        admissible_commands=True, objective=True, score=True, max_score=True, won=True, lost=True, facts=True
    )

    def adventure(start: dict[str, Any], actions: list[str]) -> None:
        env = textworld.start(str(compiled(start)), asked)
        env.reset()
        for action in actions:
            env.step(action)

    return adventure


def _conversation(start: dict[str, Any], actions: list[str]) -> None:
    from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils
    from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker

    from prowess.suites.worlds.bfcl import entry

    found, right = entry(start["category"], start["number"])
    arguments = found["initial_config"], found["involved_classes"], "bare", found["id"]
    for turn in right:
        for call in turn:
            multi_turn_utils.execute_multi_turn_func_call([call], *arguments)
    multi_turn_checker([[[call] for call in turn] for turn in right], right, found, start["category"], "bare")
    for name in [name for name in vars(multi_turn_utils) if name.startswith("bare_")]:
        delattr(multi_turn_utils, name)


def _errand() -> Any:
    from prowess.suites.worlds import agentdojo

    agentdojo._without_clients()
    from agentdojo.agent_pipeline.tool_execution import tool_result_to_str
    from agentdojo.functions_runtime import FunctionsRuntime
    from agentdojo.task_suite.load_suites import get_suites

    suites = get_suites(agentdojo.VERSION)

    def play(start: dict[str, Any], actions: list[str]) -> None:
        suite = suites[start["suite"]]
        task = suite.user_tasks[start["task"]]
        now = task.init_environment(suite.load_and_inject_default_environment({}))
        before, runtime = now.model_copy(deep=True), FunctionsRuntime(suite.tools)
        for call in task.ground_truth(before.model_copy(deep=True)):
            tool_result_to_str(runtime.run_function(now, call.function, call.args)[0])
        task.utility(task.GROUND_TRUTH_OUTPUT, before, now)

    return play


def ours(world: str) -> Any:
    """A function that plays one episode with our engine, in this thread."""
    from prowess.suites import world_class
    from prowess.suites.worlds.host import load

    engine = load(world_class(world).engine)

    def play(start: dict[str, Any], actions: list[str]) -> None:
        engine.reset(start)
        for action in actions:
            engine.step(action)
        engine.score()

    return play


# --- one measurement, in a process of its own


def measure(mode: str, world: str, episodes: list[dict[str, Any]], repeats: int) -> dict[str, float]:
    if mode in ("bare", "engine"):
        play = bare(world) if mode == "bare" else ours(world)
        for episode in episodes:  # warm: machines started, games compiled
            play(episode["start"], episode["actions"])
        began = time.perf_counter()
        for _ in range(repeats):
            for episode in episodes:
                play(episode["start"], episode["actions"])
        seconds, times = time.perf_counter() - began, repeats
    else:
        import anyio

        seconds, times = anyio.run(_episodes, world, episodes, repeats, 8 if mode == "eight" else 1)
    steps = times * sum(len(e["actions"]) for e in episodes)
    return {"steps": steps, "seconds": seconds, "per_second": steps / seconds, "megabytes": memory()}


async def _episodes(world: str, episodes: list[dict[str, Any]], repeats: int, at_once: int) -> tuple[float, int]:
    import anyio

    from prowess.suites import open_suite
    from prowess.suites.worlds.suite import WorldSuite

    suite = open_suite(world)
    assert isinstance(suite, WorldSuite)
    tasks = {t.id: t for f in FAMILIES[world] for t in suite.tasks(f, "test", EPISODES // len(FAMILIES[world]))}

    async def player(laps: int) -> None:
        for _ in range(laps):
            for episode in episodes:
                async with suite.episode(tasks[episode["task"]]) as running:
                    await running.reset()
                    for action in episode["actions"]:
                        await running.step(action)

    async def all_players(laps: int) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(at_once):
                group.start_soon(player, laps)

    await all_players(1)
    began = time.perf_counter()
    await all_players(repeats)
    return time.perf_counter() - began, repeats * at_once


def memory() -> float:
    """Megabytes that this process and all below it hold now."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        parents[int(fields["Pid"])] = int(fields["PPid"]), int(fields.get("VmRSS", "0 kB").split()[0])
    mine, total = {os.getpid()}, parents[os.getpid()][1]
    while found := {pid for pid, (parent, _) in parents.items() if parent in mine} - mine:
        total += sum(parents[pid][1] for pid in found)
        mine |= found
    return total / 1024


# --- the table


def drawn(world: str, steps: int) -> list[dict[str, Any]]:
    """Episodes that chance plays, of at most `steps` actions, which do not end before their last."""
    import anyio

    from prowess.suites import open_suite
    from prowess.suites.worlds.suite import WorldSuite

    async def play(suite: WorldSuite) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        draw = random.Random(0)
        for n in range(EPISODES // len(FAMILIES[world])):
            for family in FAMILIES[world]:
                (task,) = suite.tasks(family, "test", 1, start=n)
                async with suite.episode(task) as episode:
                    scene = await episode.reset()
                    while not episode.over and len(episode.actions) < steps and scene.actions:
                        scene = await episode.step(draw.choice(scene.actions))
                    actions = list(episode.actions) if scene.actions is not None else right(suite, task)
                    found.append({"task": task.id, "start": task.meta["start"], "actions": actions})
        return found

    suite = open_suite(world)
    assert isinstance(suite, WorldSuite)
    try:
        return anyio.run(play, suite)
    finally:
        suite.close()


def right(suite: Any, task: Any) -> list[str]:
    """The gold actions of a task."""
    from prowess.suites.worlds.suite import read_actions, steps_of

    actions = read_actions(suite.oracle(task), steps_of(task))
    assert actions is not None
    return list(actions)


def child(mode: str, world: str, episodes: Path, repeats: int) -> dict[str, float]:
    from prowess.suites import world_class

    python = str(world_class(world).needs.python()) if mode in ("bare", "engine") else sys.executable
    command = [python, __file__, "--child", mode, world, str(episodes), str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{world}, {mode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="*", default=list(FAMILIES), metavar="WORLD")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    from prowess.core.errors import UserError
    from prowess.suites import open_suite

    rows: list[dict[str, Any]] = []
    print("| world | bare package | our engine | of bare | an episode | of bare | adds per step | eight at once |"
          " MB: bare | engine | one episode | eight |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for world in args.worlds:
        try:
            open_suite(world)
        except UserError as error:
            print(f"{world}: {error}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "episodes.json")
            file.write_text(json.dumps(drawn(world, args.steps)))
            found: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
            for _ in range(args.repeats):
                for mode in MODES:
                    found[mode].append(child(mode, world, file, 1 if mode == "eight" else 3))
        rate = {mode: statistics.median(r["per_second"] for r in runs) for mode, runs in found.items()}
        size = {mode: statistics.median(r["megabytes"] for r in runs) for mode, runs in found.items()}
        adds = (1 / rate["episode"] - 1 / rate["engine"]) * 1e6
        print(
            f"| {world} | {rate['bare']:,.0f} | {rate['engine']:,.0f} | {rate['engine'] / rate['bare']:.2f} "
            f"| {rate['episode']:,.0f} | {rate['episode'] / rate['bare']:.2f} | {adds:.0f} µs | {rate['eight']:,.0f} "
            f"| {' | '.join(f'{size[mode]:.0f}' for mode in MODES)} |",
            flush=True,
        )
        rows.append({"world": world, "runs": found})
    print(
        f"\nSteps per second; medians of {args.repeats} processes; seed 0; {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}"
    )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        mode, world, episodes, repeats = sys.argv[2:]
        sys.path.append(str(Path(__file__).parents[1] / "src"))
        given = json.loads(Path(episodes).read_text())
        print(json.dumps(measure(mode, world, given, int(repeats))), flush=True)
        os._exit(0)
    main()
