"""What generated conversations are about."""

from typing import NamedTuple


class Topic(NamedTuple):
    names: tuple[str, ...]
    """The first is what the two call it; questions take any."""
    things: tuple[str, ...]
    """What one makes, grows or finishes there."""
    tools: tuple[str, ...]
    words: tuple[str, ...]


def listed(text: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in text.split(","))


def _topics(text: str) -> tuple[Topic, ...]:
    lines = [listed(line) for line in text.strip().splitlines()]
    return tuple(Topic(*lines[start : start + 4]) for start in range(0, len(lines), 4))


TOPICS = _topics("""
pottery, ceramics, clay class
glazed bowl, tall vase, teapot, serving plate, lidded jar, soap dish
banding wheel, trimming knife, set of sponges
glaze, kiln, clay, wheel, firing, slip
gardening, growing vegetables, the allotment
row of beans, bed of strawberries, pumpkin, rose arch, herb spiral, tray of seedlings
pruning saw, watering can, cold frame
soil, compost, slugs, frost, mulch, harvest
baking, making bread, pastry
rye loaf, lemon tart, wedding cake, batch of croissants, honey cake, plum pie
proofing basket, stand mixer, rolling pin
dough, yeast, crust, oven, flour, crumb
photography, taking pictures, camera club
portrait series, night shot of the bridge, exhibition print, bird picture, album, postcard set
tripod, macro lens, light meter
shutter, exposure, lens, film, contrast, darkroom
sailing, boating, yacht club
crossing of the bay, night passage, regatta, mooring course, island trip, delivery trip
compass, storm jacket, pair of deck shoes
wind, tide, mast, harbour, knots, spray
chess, board games, tournament play
opening study, endgame problem, blitz match, simultaneous match, puzzle book, club game
tournament clock, walnut board, notation book
opening, gambit, rook, endgame, clock, pawn
violin, playing music, the orchestra
slow sonata, folk duet, summer concert, audition piece, wedding march, recording
carbon bow, shoulder rest, music stand
strings, rehearsal, tuning, score, bow, melody
running, jogging, marathon training
half marathon, hill relay, charity run, night race, forest trail, city ten kilometres
pair of spikes, heart monitor, rain vest
pace, miles, stretching, blisters, coach, track
painting, watercolours, art lessons
harbour scene, still life, mural, self portrait, snow landscape, book cover
sable brush, field easel, box of pigments
canvas, pigment, brush, shade, sketch, varnish
woodwork, carpentry, building furniture
oak stool, bookcase, rocking horse, toy chest, garden bench, picture frame
block plane, Japanese saw, set of chisels
grain, sawdust, joints, varnish, clamp, bench
beekeeping, keeping bees, the hives
first swarm, jar of heather honey, second hive, candle set, queen rearing box, observation hive
smoker, new veil, honey press
bees, swarm, nectar, comb, queen, wax
climbing, bouldering, scaling rock
north face, overhang route, sea cliff, indoor final, winter gully, twelve pitch route
chalk bag, belay device, pair of soft shoes
rope, grip, ledge, chalk, summit, harness
astronomy, stargazing, the observatory
comet drawing, lunar map, planet log, eclipse film, variable star chart, nebula picture
star atlas, red torch, wide eyepiece
orbit, telescope, clouds, meteor, galaxy, dark
knitting, yarn work, needlecraft
cable jumper, baby blanket, pair of mittens, striped scarf, lace shawl, tea cosy
set of bamboo needles, yarn bowl, row counter
wool, stitch, pattern, needles, colour, yarn
theatre, acting, the drama group
one act comedy, ghost play, monologue, radio drama, children's show, improvised evening
prompt book, costume trunk, stage mirror
stage, lines, curtain, costume, audience, scene
volunteering, charity work, the shelter
soup evening, clothes drive, reading hour, night watch, fundraising fair, repair morning
label printer, folding table, first aid kit
donations, families, blankets, neighbours, shift, kitchen
""")
PEOPLE = listed("""
Adele, Boris, Carmen, Dario, Elif, Florian, Gudrun, Hamid, Ingrid, Jerome, Keiko, Lars, Malika, Nestor, Oona,
Pilar, Rashid, Selma, Tobias, Ursula, Viktor, Wanda, Xenia, Yusuf
""")
FRIENDS = listed("""
Aunt Bea, Mr Calloway, Denise, Fergus, Gwen, Isidore, Juno, Lucinda, Marcel, Noor, Ottilie, Percival, Reggie,
Stellan, Thea, Winifred
""")
RELATIVES = listed("mother, father, uncle, aunt, grandmother, grandfather, cousin, older sister, younger brother")
TOWNS = listed("""
Avonlea Bay, Brindle Cross, Carrow, Dunmore Sands, Eskdale, Fenwick Falls, Glenmore, Hartsea, Inverlay,
Kestrel Point, Lowmoor, Marisk, Northgate, Oxley, Penhallow, Quarrington
""")
SPOTS = listed("""
the old tram depot, the hall behind the fire station, the riverside pavilion, the upper quarry, the mill loft,
the school annex, a barn near the ring road, the lighthouse terrace, the chapel basement, the west meadow
""")
ADJECTIVES = listed("blue, crooked, enormous, delicate, striped, rough, elegant, tiny, heavy, colourful")
PETS = {
    "kitten": ("Biscuit", "Pickle", "Mango"),
    "puppy": ("Rufus", "Waffle", "Comet"),
    "parrot": ("Captain", "Figaro", "Olive"),
    "tortoise": ("Atlas", "Pebble", "Gerald"),
    "rabbit": ("Clover", "Thistle", "Domino"),
}
DISHES = listed("""
lentil stew, mushroom dumplings, saffron rice, cold beet soup, stuffed peppers, fish curry, walnut noodles,
onion tart
""")
OCCASIONS = listed("""
school fair, power cut, long storm, street parade, family reunion, dentist appointment, heat wave, train strike, house
move, job interview, lantern festival, broken boiler, neighbour's wedding, spring flood, book launch, village market,
burst pipe, tax deadline, night of the eclipse, road closure, company picnic, hospital visit, graduation dinner, lost
passport, film premiere, winter solstice, harvest supper, roof repair, library opening, bicycle theft, flea market,
election week, moving van mix-up, choir anniversary, snowed-in weekend, visa trouble
""")
