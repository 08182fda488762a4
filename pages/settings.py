"""Settings: how it looks, what things cost, where a session begins; kept between visits."""

import streamlit as st

from engine import usual_place, words
from pages.parts import making, settings, state
from pages.parts.frame import through_the_door
from pages.parts.keeper import keeper

PRICE = "price-"
RATE, BILL = "set-rate", "set-bill"
SIZE, SEED, SCHEDULER = "set-type", "set-seed", "set-scheduler"
USUAL, BIG = "Usual", "Projector"


def on_type() -> None:
    """Take over how large things are."""
    settings.change(projector=st.session_state[SIZE] == BIG)


def on_units() -> None:
    """Take over by what rates and costs are said."""
    settings.change(units=words.Units(st.session_state[RATE], st.session_state[BILL]))


def on_seed() -> None:
    """Take over the seed that a session begins with, and go to it."""
    seed = st.session_state[SEED]
    settings.change(seed=None if seed is None else int(seed))
    st.session_state[state.SEED] = state.FIRST_SEED if seed is None else int(seed)


def on_scheduler() -> None:
    """Take over who plays further runs."""
    settings.change(scheduler=str(st.session_state[SCHEDULER]).strip())


def on_price() -> None:
    """Take over every price that is no list price."""
    said = [
        (name, st.session_state[PRICE + name])
        for name in settings.usual_prices()
        if st.session_state.get(PRICE + name) is not None
    ]
    settings.change(prices=settings.priced(said))


def list_prices() -> None:
    """Go back to the list."""
    settings.change(prices=())
    for name, value in settings.usual_prices().items():
        st.session_state[PRICE + name] = value


def forget_runs() -> None:
    """Forget every kept run."""
    making.shelf().clear()


def looks() -> None:
    """Draw how it looks."""
    st.markdown("**Look**")
    st.caption("Automatic: light or dark, as this device is set.")
    # The browser keeps this one, and knows it: the component shows it.
    keeper(settings.current().to_cookie(), _own_link())
    st.session_state[SIZE] = BIG if settings.current().projector else USUAL
    st.segmented_control(
        "Size of type",
        [USUAL, BIG],
        required=True,
        key=SIZE,
        on_change=on_type,
        help="Projector: bigger type, controls and map, to be read from the last row.",
    )


def units() -> None:
    """Draw by what rates and running costs are said."""
    st.markdown("**Units** of key numbers, tables and reports")
    now = settings.current().units
    st.session_state[RATE], st.session_state[BILL] = now.rate, now.bill
    fields = (("Requests a", RATE, words.RATES), ("Costs a", BILL, words.BILLS))
    for column, (label, key, known) in zip(st.columns(3, gap="small"), fields, strict=False):
        column.segmented_control(label, list(known), required=True, key=key, on_change=on_units)
    st.caption(
        "Axes of charts, knobs and the list above keep seconds and hours. A month has 730 hours."
    )


def begins() -> None:
    """Draw where a session begins and where runs are."""
    st.markdown("**Runs**")
    st.session_state[SEED] = settings.current().seed
    st.number_input(
        "Seed that a visit begins with",
        0,
        state.SEED_MAX,
        key=SEED,
        on_change=on_seed,
        placeholder=f"{state.FIRST_SEED}, as for everybody",
        help="A link brings its own seed along. Same scenario and seed, same figures.",
    )
    st.session_state[SCHEDULER] = settings.current().scheduler
    st.text_input(
        "Address of a Dask scheduler",
        key=SCHEDULER,
        on_change=on_scheduler,
        max_chars=200,
        placeholder="empty: this machine",
        help="Such as tcp://10.0.0.5:8786. Its workers need Strata on their path. It plays the"
        " further runs of reports and studies; the figures are the same, wherever they are played.",
    )
    kept = len(making.shelf())
    st.caption(
        f"Figures of **{kept:,}** further runs are kept on this server, so that none is played"
        " twice, in"
    )
    st.code(str(usual_place()), language=None, wrap_lines=True)
    with st.popover("Forget them", disabled=not kept):
        st.write("They are everybody's on this server, and would be played again when needed.")
        st.button("Forget all kept runs", on_click=forget_runs, type="primary")


def prices() -> None:
    """Draw the price list."""
    now = dict(settings.current().prices)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("**Price list**, in US dollars")
        st.button("Back to list prices", on_click=list_prices, disabled=not now, key="list-prices")
    st.caption(
        "They hold for every scenario that you look at, but for one that was opened from a link"
        " or a file: it keeps its own, so that it gives the same figures everywhere."
    )
    fields = settings.price_fields()
    columns = st.columns(3, gap="small")
    for place, (name, (title, help_text)) in enumerate(fields.items()):
        usual = settings.usual_prices()[name]
        st.session_state[PRICE + name] = now.get(name, usual)
        label = f"{title} ●" if name in now else title
        columns[place % 3].number_input(
            label,
            0.0,
            settings.PRICE_MAX,
            step=0.01,
            format="%.4g",
            key=PRICE + name,
            on_change=on_price,
            help=f"{help_text} List price: ${usual:g}.",
        )


def _own_link() -> str:
    """Return the word that brings a session's own scenario through a reload, if there is one."""
    try:
        return state.whole_link() if state.own() else ""
    except ValueError:
        return ""


through_the_door()
left, right = st.columns([1, 2.2], gap="medium")
with left:
    with st.container(border=True, key="set-looks"):
        looks()
    with st.container(border=True, key="set-runs"):
        begins()
with right:
    with st.container(border=True, key="set-prices"):
        prices()
    with st.container(border=True, key="set-units"):
        units()
st.caption("Kept by this browser for your next visit; nothing of it leaves for anywhere else.")
