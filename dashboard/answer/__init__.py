"""An answer on screen and on paper: what Review, Cases, reports and exports share."""
