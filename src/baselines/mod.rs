//! What a head has to be better than: classifiers of the same frozen features that nobody has to tune.
//!
//! [`class_means`]: the class whose mean is nearest by angle. [`nearest_rows`]: a vote of the nearest training rows. [`logistic_regression`]:
//! the softmax head at the optimum of its loss and a penalty on its class vectors, the strongest of the three on most features.

pub mod class_means;
pub mod logistic_regression;
pub mod nearest_rows;
