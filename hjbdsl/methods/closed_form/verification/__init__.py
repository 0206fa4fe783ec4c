"""The parts of the proof, one file each; `closed_form.verify` puts them together."""
