/** This package's version, as in its package.json (a test compares them). */
export const programVersion = "0.1.0";
