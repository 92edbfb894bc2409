"""Stage one: official data-set folders in, one cache of dynamic images and magnified motion out."""
