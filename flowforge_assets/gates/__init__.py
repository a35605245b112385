"""Gates between assets: steps held behind a failed check, waivers, and the sensor that asks again."""
