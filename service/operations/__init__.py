"""Operations: their phases, and documents that are parsed, validated, and measured; errors as clients see them."""
