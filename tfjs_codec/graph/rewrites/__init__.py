"""Operations that tfjs lacks or gets wrong, in operations that it has."""
